"""ARNs of an action's resources, built from its templates and the names in the parameters.

Section 4 of docs/spec/cloudtrail.md, points 5 and 6. `${Partition}`, `${Region}` and `${Account}`
come from the record, the other variables from `requestParameters`, by the places in
`data/cloudtrail-resources.json` or under the variable's own name. Where a piece stays open (the
suffix of a secret, the path of a role, the id of a thing that is being created) the result is a
*pattern* that covers every ARN it can be: never an ARN, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..catalogue import CatalogueAction, ResourceType
from .actions import load_table
from .parameters import is_hidden
from .places import Folded, Place
from .resources import form_of

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FROM_RECORD = frozenset({"Partition", "Region", "Account"})
_NOT_RULES = frozenset({"shape", "prefix", "all"})
_ACCOUNT = re.compile(r"\d{12}")
_OPEN = "*"
_ANY_RESOURCE = frozenset({"id", "name", "resourceid", "resourcename", "uuid", "arn"})
"""Variables that do not say what they name: looked for where no other type could be meant."""


def partition_of(region: str | None) -> str | None:
    """Partition that a region belongs to (section 3.1); None when there is no region."""
    if not region:
        return None
    for prefix, partition in (
        ("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"), ("us-iso-", "aws-iso"), ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ):
        if region.startswith(prefix):
            return partition
    return "aws"


@dataclass(frozen=True, slots=True)
class Where:
    """What a record gives for the fixed variables of a template; None where it does not."""

    partition: str | None
    region: str | None
    account: str | None


@dataclass(frozen=True, slots=True)
class Built:
    """One resource. Invariant: one of the two is not None, or both are: nothing is known.

    arn     : the resource
    pattern : what is known of it, with `*` and `?` for the rest
    """

    arn: str | None
    pattern: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A value for a variable: `is_open` when it holds wildcards of ours."""

    text: str
    is_open: bool = False
    account: str | None = None
    """Owner, when the value names it (`queueUrl`)."""
    is_another: bool = False
    """The value stands for a resource of another type, which it does not tell."""


Shape = Callable[[str, Folded, bool], "Piece | None"]
"""(value, parameters, is_creating) -> the piece; None when the value names no such resource."""

_SAFE = re.compile(r"[^*?\x00-\x1f]+")


def _plain(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    return Piece(value) if _SAFE.fullmatch(value) else None


def _with_path(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """IAM names: the path is known only where the thing is made, `/` when it is not given."""
    if not _SAFE.fullmatch(value) or "/" in value:
        return None
    if not is_creating:
        return Piece(f"{_OPEN}{value}", is_open=True)
    path = parameters.level(parameters.top).get("path") or "/"
    if not isinstance(path, str) or is_hidden(path) or path[:1] != "/" or path[-1] != "/":
        return Piece(f"{_OPEN}{value}", is_open=True)
    return Piece(f"{path[1:]}{value}")


def _lower_case(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """RDS keeps identifiers in lower case; what it checks for another spelling is not known."""
    if not _SAFE.fullmatch(value):
        return None
    return Piece(value) if value == value.lower() else Piece(_OPEN, is_open=True)


def _random_suffix(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """Secrets: the ARN ends in six characters that the name does not tell."""
    return Piece(f"{value}-??????", is_open=True) if _SAFE.fullmatch(value) else None


def _no_leading_slash(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    if value.startswith("arn:"):
        return None
    plain = value.partition(":")[0].lstrip("/")  # `name:version`, `name:label`
    return Piece(plain) if plain and _SAFE.fullmatch(plain) else None


def _document(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """Documents of AWS belong to no account, and their names are reserved."""
    if not _SAFE.fullmatch(value):
        return None
    is_own = not value.startswith(("AWS", "Amazon", "amazon", "aws"))
    return Piece(value) if is_own else Piece(value, is_open=True, account=_OPEN)


def _bucket(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """Bucket names and keys as they are; aliases of access points stand for another resource."""
    if value.endswith(("-s3alias", "--ol-s3")):
        return Piece(value, is_another=True)
    if value.startswith("arn:"):
        return None
    # a wildcard in a key is a character of the request like any other
    return Piece(value)


def _alias(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    return Piece(value.removeprefix("alias/")) if _SAFE.fullmatch(value) else None


_KEY_ID = re.compile(r"(?:mrk-)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


def _key(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """Key ids; an alias does not tell its key."""
    if value.startswith("arn:") and ":alias/" not in value:
        return None
    return Piece(value) if _KEY_ID.fullmatch(value) else Piece(_OPEN, is_open=True)


def _log_group(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """Checked as `group`, `group:*` or `group:log-stream:...`, by operation: not documented."""
    return Piece(f"{value}*", is_open=True) if _SAFE.fullmatch(value) else None


_QUEUE_URL = re.compile(r"https?://(?:sqs\.)?([a-z0-9-]+)\.[^/]*/(\d{12})/([A-Za-z0-9_.-]+)")


def _queue(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    if "/" not in value:
        return _plain(value, parameters, is_creating)
    found = _QUEUE_URL.fullmatch(value)
    return None if found is None else Piece(found.group(3), account=found.group(2))


_FUNCTION = re.compile(r"(?:(\d{12}):(?:function:)?)?([A-Za-z0-9_-]+)(:[A-Za-z0-9_$-]+)?")


def _function(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    """A name, or an account and a name; with a qualifier the ARN has it, too."""
    found = _FUNCTION.fullmatch(value)
    if found is None:
        return None
    account, name, qualifier = found.groups()
    if qualifier or parameters.level(parameters.top).get("qualifier"):
        return Piece(f"{name}*", is_open=True, account=account)
    return Piece(name, account=account)


def _hosted_zone(value: str, parameters: Folded, is_creating: bool) -> Piece | None:
    return _plain(value.removeprefix("/hostedzone/"), parameters, is_creating)


_SHAPES: dict[str, Shape] = {
    "plain": _plain,
    "with_path": _with_path, "lower_case": _lower_case, "random_suffix": _random_suffix,
    "no_leading_slash": _no_leading_slash, "document": _document, "bucket": _bucket,
    "alias": _alias, "key": _key, "log_group": _log_group, "queue": _queue,
    "function": _function, "hosted_zone": _hosted_zone,
}


@cache
def _table() -> dict[str, Any]:
    return load_table("cloudtrail-resources.json")


@dataclass(frozen=True, slots=True)
class _TypePlan:
    """How to build the ARNs of one resource type."""

    form: str
    is_required: bool
    texts: tuple[str, ...]
    """Literal texts around `variables`: one more than these."""
    variables: tuple[str, ...]
    asked: tuple[str, ...]
    """Those of `variables` that parameters can hold, in order; the last one names a resource."""
    places: dict[str, tuple[Place, ...]]
    ids: tuple[Place, ...]
    prefix: str
    heads: frozenset[str]
    """Names, at the top of the parameters, below which one of `asked` may stand."""
    shape: Shape
    takes_all: bool


class TemplateBuilder:
    """Builds the resources of actions; prepares each action once."""

    def __init__(self) -> None:
        self._plans: dict[str, tuple[_TypePlan, ...]] = {}
        self._owner = tuple(name.lower() for name in _table()["owner"])
        self._creating = frozenset(_table()["creating"])

    def build(
        self, action: CatalogueAction, parameters: dict[str, Any] | None, where: Where,
        covered: set[str], *, fills_required: bool = True, fills_named: bool = False,
    ) -> list[tuple[str, Built]]:
        """(form, resource) of each type that is not covered and is named.

        fills_required : required types that are not named count too, as patterns
        fills_named    : so do types of which an outer piece is named (the bucket of an object)
        """
        folded = Folded(parameters or {})
        is_creating = action.spelling in self._creating
        where = self._owned(where, folded)
        found: list[tuple[str, Built]] = []
        plans = self._plans_of(action)
        top = folded.level(folded.top)
        ids = [value for place in plans[0].ids for value in place.values(folded)
               if isinstance(value, str)] if plans else []
        for plan in plans:
            if plan.form in covered and not plan.takes_all:
                continue
            if not plan.is_required and not fills_named and plan.heads.isdisjoint(top) and not (
                    plan.prefix and any(value.startswith(plan.prefix) for value in ids)):
                continue  # some actions have a hundred types
            outer, lasts = _named(plan, folded, is_creating)
            if not plan.is_required and len(outer) + 1 < len(plan.asked):
                lasts = []  # an optional type is named by all its pieces
            for piece in lasts:
                found.append((plan.form, _fill(plan, outer | {plan.asked[-1]: piece}, where)))
            if not lasts and plan.form not in covered and (
                    (plan.is_required and fills_required) or (outer and fills_named)):
                found.append((plan.form, _fill(plan, outer, where)))
        return found

    def takes_all(self, action: CatalogueAction) -> bool:
        """Can one type of the action be named several times, here as an ARN and there by name?"""
        return any(plan.takes_all for plan in self._plans_of(action))

    def names_of(self, action: CatalogueAction) -> frozenset[str]:
        """All names, in lower case, that are looked for in the parameters of an action's calls."""
        found: set[str] = set(self._owner)
        for plan in self._plans_of(action):
            for place in (*plan.ids, *(p for places in plan.places.values() for p in places)):
                found.update(place.path)
                found.add(place.asked)
        return frozenset(found)

    def _owned(self, where: Where, folded: Folded) -> Where:
        """Some calls name the account that owns the resource."""
        top = folded.level(folded.top)
        for name in self._owner:
            if (owner := top.get(name)) is not None:
                account = owner if isinstance(owner, str) and _ACCOUNT.fullmatch(owner) else None
                return Where(where.partition, where.region, account)
        return where

    def _plans_of(self, action: CatalogueAction) -> tuple[_TypePlan, ...]:
        plans = self._plans.get(action.spelling)
        if plans is None:
            is_only = len(action.resource_types) == 1
            plans = self._plans[action.spelling] = tuple(
                _plan(action.service, kind, is_only) for kind in action.resource_types
                if kind.arn_template.count(":") >= 5)
        return plans


def tagged_types(parameters: dict[str, Any], where: Where) -> list[str]:
    """Patterns of what EC2's tag specifications tag: things that are being created."""
    top = Folded(parameters)
    kinds: list[object] = []
    for place in _TAGGED:
        kinds += place.values(top)
    without_account = _table()["without_account"]["ec2"]
    fixed = f"arn:{where.partition or _OPEN}:ec2:{where.region or _OPEN}"
    return [
        f"{fixed}:{'' if kind in without_account else where.account or _OPEN}:{kind}/*"
        for kind in dict.fromkeys(kinds) if isinstance(kind, str) and _SAFE.fullmatch(kind)]


_TAGGED = tuple(map(Place.parse, (
    "tagSpecificationSet.items.resourceType", "tagSpecification.resourceType",
    "tagSpecifications.resourceType")))


def path_resource(path: str, parameters: dict[str, Any], where: Where) -> str | None:
    """API Gateway: the resource is the path of the call; None when a name is missing.

    path : `/restapis/{restapi_id}/stages`, from the service's model
    """
    if path.startswith("/tags"):
        return None
    top = {name.lower(): value for name, value in parameters.items()}
    made = path.removeprefix("/v2")
    for variable in _PATH_VARIABLE.findall(path):
        value = top.get(variable.replace("_", "").lower())
        if not isinstance(value, str) or is_hidden(value) or not _SAFE.fullmatch(value):
            return None
        made = made.replace("{" + variable + "}", value)
    if where.partition is None or where.region is None:
        return None
    return f"arn:{where.partition}:apigateway:{where.region}::{made}"


_PATH_VARIABLE = re.compile(r"\{([^}]*)\}")


def _named(
    plan: _TypePlan, folded: Folded, is_creating: bool
) -> tuple[dict[str, Piece], list[Piece]]:
    """Pieces of the outer variables, and every value of the last: the resources that are named."""
    pieces: dict[str, Piece] = {}
    for variable in plan.asked[:-1]:
        values = _values(plan, variable, folded, is_creating)
        if len(values) == 1:
            pieces[variable] = values[0]
    return pieces, _values(plan, plan.asked[-1], folded, is_creating) if plan.asked else []


def _values(
    plan: _TypePlan, variable: str, folded: Folded, is_creating: bool
) -> list[Piece]:
    pieces: list[Piece] = []
    for place in plan.places[variable]:
        pieces += _pieces(plan, place.values(folded), folded, is_creating)
        if pieces and not plan.takes_all:
            break
    if not pieces and plan.prefix:
        for place in plan.ids:
            pieces += _pieces(plan, place.values(folded), folded, is_creating)
    return list(dict.fromkeys(pieces))


def _pieces(
    plan: _TypePlan, values: list[object], folded: Folded, is_creating: bool
) -> list[Piece]:
    pieces = []
    for value in values:
        if not isinstance(value, str) or not value:
            continue
        if is_hidden(value):
            pieces.append(Piece(_OPEN, is_open=True))
            continue
        if value.startswith("arn:"):
            if len(plan.asked) < 2:
                continue  # ARNs as they are have been taken
            value = value.rpartition("/")[2]
        if not value.startswith(plan.prefix):
            continue
        piece = plan.shape(value, folded, is_creating)
        if piece is not None:
            pieces.append(piece)
    return pieces


def _plan(service: str, kind: ResourceType, is_only: bool) -> _TypePlan:
    rule = _table()["types"].get(f"{service}:{kind.name}", {})
    parts = _VARIABLE.split(kind.arn_template)
    asked = [name for name in parts[1::2] if name not in _FROM_RECORD]
    assert set(rule) - _NOT_RULES <= set(asked), (service, kind.name)
    places = {
        name: tuple(map(Place.parse, rule.get(
            name, [name] if is_only or name.lower() not in _ANY_RESOURCE else [])))
        for name in asked}
    return _TypePlan(
        form_of(kind.arn_template), kind.is_required, tuple(parts[0::2]), tuple(parts[1::2]),
        tuple(name for name in asked if places[name]), places,
        tuple(map(Place.parse, _table()["ids"].get(service, ()))),
        rule.get("prefix", ""),
        frozenset(place.path[0] for name in asked for place in places[name]),
        _SHAPES[rule.get("shape", "plain")], bool(rule.get("all")))


def _fill(plan: _TypePlan, pieces: dict[str, Piece], where: Where) -> Built:
    if any(piece.is_another for piece in pieces.values()):
        return Built(None, None)
    account = next((piece.account for piece in pieces.values() if piece.account), where.account)
    fixed = {"Partition": where.partition, "Region": where.region, "Account": account}
    is_open = any(_OPEN in text for text in plan.texts)
    made = plan.texts[0]
    for variable, text in zip(plan.variables, plan.texts[1:], strict=True):
        if variable in _FROM_RECORD:
            value = fixed[variable]
            is_open |= value is None or value == _OPEN
            made += value or _OPEN
        elif (piece := pieces.get(variable)) is not None:
            is_open |= piece.is_open
            made += piece.text
        else:
            is_open = True
            made += _OPEN
        made += text
    return Built(None, made) if is_open else Built(made, None)
