"""Versions of one policy, step by step: what each added and what it took away.

Versions are files `NAME.vN.json`. A step between versions whose numbers are not consecutive spans
what no file holds, and says so. The promise is AWS's own: "services do not remove permissions from
an AWS managed policy". It held in a step if it is proved that the newer version allows all that the
older does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .compared import Comparison, Verdict
from .comparison import compare
from .compiler.compare import Budget
from .errors import SourceError
from .grammar import PolicyDocument, load_policy
from .options import Options
from .worlds import WorldName

if TYPE_CHECKING:
    import pyarrow as pa

Promise = Literal["held", "broken", "undecided"]

_FILE = re.compile(r"(?P<name>.+)\.v(?P<version>[0-9]{1,6})\.json")
_INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a policy. `date` is when it was made, as far as a file tells (ISO 8601)."""

    number: int
    document: PolicyDocument
    date: str = ""

    def __str__(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next one there is a file of.

    missing : numbers of the versions in between that no file holds
    """

    old: Version
    new: Version
    missing: tuple[int, ...]
    comparison: Comparison

    @property
    def promise(self) -> Promise:
        """Whether no permission was removed."""
        kept: Verdict = self.comparison.meets("no-lost-access")
        promises: dict[Verdict, Promise] = {
            "yes": "held", "no": "broken", "undecided": "undecided"}
        return promises[kept]

    def to_dict(self) -> dict[str, Any]:
        return {
            "old": self.old.number, "new": self.new.number, "old_date": self.old.date,
            "new_date": self.new.date, "missing": list(self.missing), "promise": self.promise,
            "comparison": self.comparison.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one policy, and the steps between them."""

    name: str
    versions: tuple[Version, ...]
    steps: tuple[Step, ...]

    @property
    def promise(self) -> Promise:
        """Whether no step removed a permission."""
        promises = {step.promise for step in self.steps}
        return "broken" if "broken" in promises else (
            "undecided" if "undecided" in promises else "held")

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "versions": [v.number for v in self.versions],
                "promise": self.promise, "steps": [step.to_dict() for step in self.steps]}

    def to_arrow(self) -> pa.Table:
        """One row per difference of any step, with the versions in front."""
        import pyarrow as pa

        tables = []
        for step in self.steps:
            table = step.comparison.to_arrow()
            for at, value in enumerate((step.old.number, step.new.number)):
                name = ("old_version", "new_version")[at]
                column = pa.array([value] * table.num_rows, pa.int32())
                table = table.add_column(at, name, column)
            tables.append(table)
        if not tables:
            raise SourceError(f"there is only one version of `{self.name}`", path=self.name,
                              help="a history needs two")
        return pa.concat_tables(tables)

    def _repr_html_(self) -> str:
        parts = [f"<h3>{escape(self.name)}: {self.promise}</h3>"]
        for step in self.steps:
            parts.append(f"<h4>{step.old} &rarr; {step.new} {escape(step.new.date)}</h4>")
            parts.append(step.comparison._repr_html_())
        return "".join(parts)


def load_versions(directory: str | Path, *, mode: Literal["lenient", "strict"] = "lenient"
                  ) -> dict[str, tuple[Version, ...]]:
    """The policies of a directory of `NAME.vN.json`: name -> its versions, by number.

    A wrapper around a document may hold its date; so may `index.json`, a list of objects with
    `file` and `created`. Raises SourceError when there is no such file.
    """
    place = Path(directory)
    try:
        names = sorted(entry.name for entry in place.iterdir() if entry.is_file())
    except OSError as error:
        raise SourceError(f"cannot read `{place}`: {error.strerror}", path=str(place),
                          help="give a directory of files `NAME.vN.json`") from error
    dates = _dates(place / _INDEX) if _INDEX in names else {}
    found: dict[str, dict[int, Version]] = {}
    for name in names:
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        (document,) = load_policy(place / name, mode=mode)
        number = int(match["version"])
        versions = found.setdefault(match["name"], {})
        if number in versions:
            raise SourceError(f"`{place}` holds version {number} of `{match['name']}` twice",
                              path=str(place), help=f"keep one of the files; one is `{name}`")
        versions[number] = Version(number, document, document.source.date or dates.get(name, ""))
    if not found:
        raise SourceError(f"`{place}` holds no versions of a policy", path=str(place),
                          help="files are named `NAME.vN.json`, e.g. `Admins.v3.json`")
    return {
        name: tuple(versions[number] for number in sorted(versions))
        for name, versions in sorted(found.items())
    }


def _dates(path: Path) -> dict[str, str]:
    try:
        listed = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(listed, list):
        return {}
    return {
        entry["file"]: entry["created"] for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get("file"), str)
        and isinstance(entry.get("created"), str)
    }


def history(
    name: str, versions: Iterable[Version], *, world: WorldName = "rules",
    options: Options | None = None, budget: Budget | None = None,
) -> History:  # fmt: skip
    """The history of one policy; `versions` in ascending order. Arguments as for `compare`."""
    ordered = tuple(versions)
    steps = tuple(
        Step(old, new, tuple(range(old.number + 1, new.number)),
             compare(old.document, new.document, world=world, options=options, budget=budget))
        for old, new in pairwise(ordered)
    )
    return History(name, ordered, steps)
