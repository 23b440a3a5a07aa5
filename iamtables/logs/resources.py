"""Which of the ARNs in a record is the resource of an action.

A record lists *affected* resources: an S3 read names the object and its bucket, a grant the key
and more. The ARN templates of the action's resource types decide. A template becomes a *form*,
with `*` for every variable; an ARN belongs to the forms that match it and have the most literal
characters among all forms of the ARN's service. So `arn:aws:s3:::b/k` is an object and never a
bucket, although `${BucketName}` alone would match it. An action's resources are the ARNs whose
forms are among its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..catalogue import Catalogue, CatalogueAction

_VARIABLE = re.compile(r"\$\{[^}]*\}|\*")
_MAX_ARNS = 200_000


def is_request_resource(text: str) -> bool:
    """RES-12: `*`, or an ARN with at least five colons."""
    return text == "*" or (text.startswith("arn:") and text.count(":") >= 5)


def form_of(template: str) -> str:
    """`arn:*:s3:::*/*` for `arn:${Partition}:s3:::${BucketName}/${ObjectName}`."""
    return _VARIABLE.sub("*", template)


@dataclass(frozen=True, slots=True)
class _Form:
    text: str
    service: str
    literal_count: int
    head: str
    """What the resource, behind the fifth colon, begins with."""
    pattern: re.Pattern[str]
    account: str
    """That of the form: `*` mostly."""


def _compile(text: str) -> _Form | None:
    fields = text.split(":", 5)
    if len(fields) < 6 or fields[2] == "*":
        return None  # a form without a service would claim any ARN
    head = ":".join(
        re.escape(field).replace(r"\*", "[^:]*" if index in (3, 4) else "[^:]+")
        for index, field in enumerate(fields[:5])
    )
    rest = ".+".join(re.escape(part) for part in fields[5].split("*"))
    literals = sum(len(field.replace("*", "")) for field in fields[5:])
    return _Form(text, fields[2], literals, fields[5].partition("*")[0],
                 re.compile(f"{head}:{rest}", re.DOTALL), fields[4])


@dataclass(frozen=True, slots=True)
class ActionForms:
    """The forms of one action. `required` has one set per required resource type."""

    all: frozenset[str]
    required: tuple[frozenset[str], ...]


class ResourceForms:
    """Forms of all services, made as they are needed; remembers the forms of each ARN (bounded)."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._of_service: dict[str, list[_Form]] = {}
        self._of_action: dict[str, ActionForms] = {}
        self._of_arn: dict[str, frozenset[str]] = {}
        self._told: dict[str, bool] = {}

    def action_forms(self, action: CatalogueAction, are_alternatives: bool) -> ActionForms:
        """`are_alternatives`: the required types exclude each other, so any one will do."""
        made = self._of_action.get(action.spelling)
        if made is None:
            needed = tuple(dict.fromkeys(
                frozenset({form_of(kind.arn_template)})
                for kind in action.resource_types if kind.is_required
            ))
            if are_alternatives and needed:
                needed = (frozenset().union(*needed),)
            made = self._of_action[action.spelling] = ActionForms(
                frozenset(map(form_of, action.arn_templates)), needed
            )
        return made

    def forms_of(self, arn: str) -> frozenset[str]:
        """The forms an ARN belongs to; empty when no service defines such a resource."""
        found = self._of_arn.get(arn)
        if found is None:
            if len(self._of_arn) >= _MAX_ARNS:
                self._of_arn.clear()
            found = self._of_arn[arn] = self._best(arn)
        return found

    def _best(self, arn: str) -> frozenset[str]:
        if not is_request_resource(arn) or arn == "*":
            return frozenset()
        best: list[str] = []
        score = -1
        fields = arn.split(":", 5)
        for form in self._forms(fields[2]):
            if form.literal_count < score:
                break
            if fields[5].startswith(form.head) and form.pattern.fullmatch(arn) is not None:
                best.append(form.text)
                score = form.literal_count
        return frozenset(best)

    def tell_accounts(self, service: str) -> bool:
        """Can ARNs of a service that differ in nothing but 12-digit accounts have other forms?"""
        found = self._told.get(service)
        if found is None:
            found = self._told[service] = any(
                any(digit in form.account for digit in "0123456789?[")
                for form in self._forms(service))
        return found

    def _forms(self, service: str) -> list[_Form]:
        """Forms whose ARNs carry this service field, the most literal first."""
        made = self._of_service.get(service)
        if made is None:
            texts = sorted(set(map(form_of, self._catalogue.templates_of_field(service))))
            compiled = [form for text in texts if (form := _compile(text)) is not None]
            compiled.sort(key=lambda form: -form.literal_count)
            made = self._of_service[service] = compiled
        return made


def choose(
    forms: ResourceForms, wanted: ActionForms, arns: Iterable[str]
) -> tuple[list[str], bool]:
    """The ARNs that fit an action, and whether they name every resource type it requires."""
    chosen: dict[str, None] = {}
    covered: set[str] = set()
    for arn in arns:
        fitting = forms.forms_of(arn) & wanted.all
        if fitting:
            chosen[arn] = None
            covered |= fitting
    if not chosen:
        return [], False
    for need in wanted.required:
        if not need & covered:
            return list(chosen), False
    return list(chosen), True
