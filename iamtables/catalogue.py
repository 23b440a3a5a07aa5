"""What AWS services authorise: every action, its resource types, ARN templates, condition keys.

A dated snapshot of the Service Authorization Reference (`data/catalogue.json.gz`, written by
`tools/build_catalogue.py`). Opening it costs an inflate and one pass that finds where each service
begins; a service is decoded when first asked for, an action object made when first asked for.

Lookups do not regard case (ACT-1); `spelling` is the reference's own.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from .errors import SourceError

_FORMAT = 1
_DEFAULT = Path(__file__).parent / "data" / "catalogue.json.gz"
_REMEDY = "give a file written by tools/build_catalogue.py of this version"


class _ServiceData(msgspec.Struct, gc=False):
    name: str
    types: dict[str, str]
    keys: list[str]
    actions: dict[str, tuple[str, list[str], list[int], list[str]]]


class _FileData(msgspec.Struct):
    format: int
    date: str
    source: str
    action_count: int
    arn_services: dict[str, list[str]]
    services: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind of resource an action can be granted on."""

    name: str
    arn_template: str
    """`arn:${Partition}:s3:::${BucketName}`; variables as the reference writes them."""
    is_required: bool


@dataclass(frozen=True, slots=True)
class CatalogueAction:
    """One action. No resource types means that IAM checks it on the resource `*`."""

    spelling: str
    """`service:Name` as the reference writes it."""
    access_level: str
    """`List`, `Read`, `Write`, `Tagging` or `Permissions management`."""
    resource_types: tuple[ResourceType, ...]
    condition_keys: tuple[str, ...]
    """Service keys and those global keys that are named for the action, as the reference spells."""
    dependent_actions: tuple[str, ...]

    @property
    def service(self) -> str:
        return self.spelling.partition(":")[0]

    @property
    def arn_templates(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind.arn_template for kind in self.resource_types))


class _Service:
    """A decoded service: its actions by lower-case name."""

    __slots__ = ("_made", "data", "lower", "prefix")

    def __init__(self, prefix: str, data: _ServiceData) -> None:
        self.prefix = prefix
        self.data = data
        self.lower = {spelling.lower(): spelling for spelling in data.actions}
        self._made: dict[str, CatalogueAction] = {}

    def action(self, lower: str) -> CatalogueAction | None:
        made = self._made.get(lower)
        if made is None and (spelling := self.lower.get(lower)) is not None:
            level, kinds, keys, dependent = self.data.actions[spelling]
            made = self._made[lower] = CatalogueAction(
                f"{self.prefix}:{spelling}",
                level,
                tuple(
                    ResourceType(name, self.data.types[name], kind != name)
                    for kind in kinds
                    for name in (kind.removesuffix("*"),)
                ),
                tuple(self.data.keys[index] for index in keys),
                tuple(dependent),
            )
        return made


class Catalogue:
    """The snapshot. Immutable to its users; decodes services as they are asked for."""

    def __init__(self, data: _FileData) -> None:
        self.date = data.date
        """Day the snapshot was taken; the reference may have been older, never newer."""
        self.source = data.source
        self.action_count = data.action_count
        self._arn_services = data.arn_services
        self._raw = data.services
        self._decoded: dict[str, _Service] = {}

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(self._raw)

    def service_name(self, prefix: str) -> str | None:
        """`Amazon S3` for `s3`."""
        service = self._service(prefix.lower())
        return None if service is None else service.data.name

    def action(self, name: str) -> CatalogueAction | None:
        """The action `service:Name`, whatever its case; None when the snapshot does not list it."""
        prefix, _, rest = name.lower().partition(":")
        service = self._service(prefix)
        return None if service is None else service.action(rest)

    def arn_templates(self, action: str) -> tuple[str, ...]:
        """ARN templates of the action's resource types; empty for `*`-only and unknown actions."""
        found = self.action(action)
        return () if found is None else found.arn_templates

    def templates_of_field(self, field: str) -> tuple[str, ...]:
        """ARN templates, of whatever service, whose ARNs carry `field` as their service."""
        templates: dict[str, None] = {}
        for prefix in self._arn_services.get(field, ()):
            service = self._service(prefix)
            assert service is not None
            templates.update(
                (template, None) for template in service.data.types.values()
                if template.split(":", 3)[2] == field)
        return tuple(templates)

    def actions(self) -> Iterator[str]:
        """Every action as `service:Name`, by service, then name."""
        for prefix in self._raw:
            service = self._service(prefix)
            assert service is not None
            for spelling in service.data.actions:
                yield f"{prefix}:{spelling}"

    def actions_of(self, prefix: str) -> tuple[str, ...]:
        """The actions of one service as `service:Name`; none when the snapshot does not list it."""
        service = self._service(prefix.lower())
        if service is None:
            return ()
        return tuple([f"{service.prefix}:{spelling}" for spelling in service.data.actions])

    def __contains__(self, name: str) -> bool:
        return self.action(name) is not None

    def _service(self, prefix: str) -> _Service | None:
        decoded = self._decoded.get(prefix)
        if decoded is None and (raw := self._raw.get(prefix)) is not None:
            decoded = _Service(prefix, msgspec.json.decode(raw, type=_ServiceData))
            self._decoded[prefix] = decoded
        return decoded


def load_catalogue(path: str | Path | None = None) -> Catalogue:
    """The catalogue that ships with the package, or the one in `path`; opened once per process.

    Raises SourceError when the file is missing or not a catalogue of this format.
    """
    return _load(Path(path) if path is not None else _DEFAULT)


@lru_cache(maxsize=4)
def _load(path: Path) -> Catalogue:
    try:
        data = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_FileData)
    except OSError as error:
        raise SourceError(f"cannot read the catalogue `{path}`: {error.strerror or error}",
                          path=str(path), help=_REMEDY) from error
    except (EOFError, msgspec.MsgspecError) as error:
        raise SourceError(f"`{path}` is not a catalogue", path=str(path), help=_REMEDY) from error
    if data.format != _FORMAT:
        raise SourceError(f"catalogue `{path}` has format {data.format}, not {_FORMAT}",
                          path=str(path), help=_REMEDY)
    return Catalogue(data)
