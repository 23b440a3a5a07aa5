"""Can a resource pattern match any ARN that an action is checked on?

A pattern and an ARN template are regular languages over characters: the pattern under the rules of
RES-4 to RES-8 (docs/spec/semantics.md), the template with a language for each of its variables.
Both are linear automata, a row of character sets of which some may repeat. Their product is
searched from the start pair; a path to the final pair spells a witness ARN, and when there is no
such path the pattern provably matches no ARN of the template.

The languages of variables are supersets of what AWS allows, so "never" is certain:

    partition, region   one or more characters without a colon
    account             twelve digits, or `aws`; possibly nothing where AWS owns such resources
    others              one or more characters; a few have a documented alphabet (`_ALPHABETS`)
    `*` in a template   anything

A policy variable in a pattern stands for any text.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from .errors import Diagnostic

if TYPE_CHECKING:
    from .catalogue import CatalogueAction
    from .grammar.tree import PolicyDocument

_FIELDS = ("`arn`", "partition", "service", "region", "account", "resource")

_ALPHABETS = {
    # a UUID, or `mrk-` and 32 hexadecimal digits (KMS Developer Guide, "Key identifiers")
    ("kms", "KeyId"): frozenset(string.ascii_letters + string.digits + "-"),
    # alphanumeric, `/`, `_`, `-` (KMS API Reference, CreateAlias)
    ("kms", "Alias"): frozenset(string.ascii_letters + string.digits + "/_-"),
}
_ACCOUNTLESS = frozenset({"ssm"})
"""Services with AWS-owned resources whose ARN leaves the account empty though the template does
not say so (`arn:aws:ssm:us-east-1::parameter/aws/service/...`)."""


class _Symbols(NamedTuple):
    """A set of characters, or the complement of one."""

    is_complement: bool
    members: frozenset[str]

    def meet(self, other: _Symbols) -> str | None:
        """A character in both sets, the plainest one; None when they are disjoint."""
        if self.is_complement and other.is_complement:
            excluded = self.members | other.members
            return next(c for c in _plain_characters() if c not in excluded)
        if self.is_complement:
            return other.meet(self)
        allowed = (self.members - other.members if other.is_complement
                   else self.members & other.members)
        return min(allowed, key=_plainness, default=None)


def _plain_characters() -> Iterable[str]:
    yield from "x" + string.ascii_letters + string.digits
    yield from map(chr, range(0x21, 0x1100))


def _plainness(character: str) -> tuple[bool, str]:
    return character in "-_/", character


class _Step(NamedTuple):
    """One place of a linear automaton: read a symbol, once or any number of times."""

    symbols: _Symbols
    repeats: bool = False


_ANY = _Symbols(True, frozenset())
_NO_COLON = _Symbols(True, frozenset(":"))
_DIGIT = _Symbols(False, frozenset(string.digits))
_ANYTHING = _Step(_ANY, True)


def _literal(text: str) -> list[_Step]:
    return [_Step(_Symbols(False, frozenset(character))) for character in text]


def _pattern_steps(text: str, has_variables: bool) -> list[_Step] | None:
    """Automaton of a `Resource` entry (RES-4, default mode); None when it matches nothing."""
    if text and not text.strip("*"):                                         # RES-1, RES-8
        return [_ANYTHING]
    if not text.startswith("arn:"):                                          # RES-8
        return None
    steps: list[_Step] = []
    colons = at = 0
    while at < len(text):
        character = text[at]
        if has_variables and text.startswith("${", at) and (end := text.find("}", at)) > 0:
            name = text[at + 2 : end].strip()
            steps += _literal(name) if name in ("*", "?", "$") else [_ANYTHING]
            at = end + 1
            continue
        within = _ANY if colons >= 5 else _NO_COLON
        if character == "*":
            ends_segment = text[at + 1 : at + 2] in (":", "")
            steps.append(_Step(_ANY if ends_segment else within, True))
        elif character == "?":
            steps.append(_Step(within))
        else:
            colons += character == ":"
            steps += _literal(character)
        at += 1
    if colons < 5 and not text.endswith("*"):                                # RES-7
        for _ in range(5 - colons):
            steps += [*_literal(":"), _ANYTHING]
    return steps


def _template_parts(template: str) -> list[tuple[str, str, int]]:
    """(kind, text, field) of each part; kind is `text`, `variable` or `star`."""
    parts: list[tuple[str, str, int]] = []
    field = at = 0
    while at < len(template):
        if template.startswith("${", at):
            end = template.index("}", at)
            parts.append(("variable", template[at + 2 : end], field))
            at = end + 1
            continue
        character = template[at]
        parts.append(("star" if character == "*" else "text", character, field))
        if character == ":" and field < 5:
            field += 1
        at += 1
    return parts


def _template_steps(template: str, *, is_typical: bool = False, only: int | None = None
                    ) -> list[list[_Step]]:
    """Automata whose union is the template, or its field `only`.

    is_typical fills in an ordinary partition, region and account, and names without a colon.
    """
    service = template.split(":")[2]
    choices: list[list[list[_Step]]] = []
    for kind, text, field in _template_parts(template):
        if only is not None and (field != only or (text == ":" and field < 5)):
            continue
        if kind == "text":
            choices.append([_literal(text)])
        elif kind == "star":
            choices.append([[_ANYTHING]])
        elif field < 5 and is_typical:
            typical = {1: "aws", 3: "us-east-1", 4: "111122223333"}.get(field, "x")
            choices.append([_literal(typical)])
        elif field == 4:
            accounts = [[_Step(_DIGIT)] * 12, _literal("aws")]
            choices.append([*accounts, []] if service in _ACCOUNTLESS else accounts)
        else:
            alphabet = _ALPHABETS.get((service, text))
            symbols = (_NO_COLON if field < 5 or (is_typical and alphabet is None)
                       else _ANY if alphabet is None else _Symbols(False, alphabet))
            choices.append([[_Step(symbols), _Step(symbols, True)]])
    return [[step for part in combination for step in part] for combination in product(*choices)]


def template_steps(template: str, *, is_typical: bool = False
                   ) -> list[list[tuple[frozenset[int], bool, bool]]]:
    """The ARNs of a template as linear automata, for set reasoning elsewhere.

    Each automaton is a row of steps (code points, whether these are the excluded ones, whether the
    step repeats); their union is the template. `is_typical` as above: an ordinary partition, region
    and account instead of all.
    """
    return [
        [(frozenset(map(ord, step.symbols.members)), step.symbols.is_complement, step.repeats)
         for step in steps]
        for steps in _template_steps(template, is_typical=is_typical)
    ]


def _search(left: Sequence[_Step], right: Sequence[_Step]) -> tuple[str | None, int]:
    """A shortest text that both automata accept, and how many pairs of states were visited.

    A repeating step may be passed without reading, so a pair has up to four continuations.
    """
    start = (0, 0)
    origin: dict[tuple[int, int], tuple[tuple[int, int], str]] = {start: (start, "")}
    queue = deque([start])
    while queue:
        pair = queue.popleft()
        i, j = pair
        if i == len(left) and j == len(right):
            letters: list[str] = []
            while pair != start:
                pair, read = origin[pair]
                letters.append(read)
            return "".join(reversed(letters)), len(origin)
        following: list[tuple[tuple[int, int], str]] = []
        if i < len(left) and left[i].repeats:
            following.append(((i + 1, j), ""))
        if j < len(right) and right[j].repeats:
            following.append(((i, j + 1), ""))
        if i < len(left) and j < len(right):
            letter = left[i].symbols.meet(right[j].symbols)
            if letter is not None:
                following.append(((i + (not left[i].repeats), j + (not right[j].repeats)), letter))
        for target, letter in following:
            if target not in origin:
                origin[target] = (pair, letter)
                # passing a repeat reads nothing: keep the queue ordered by length read
                (queue.append if letter else queue.appendleft)(target)
    return None, len(origin)


@dataclass(frozen=True, slots=True)
class Reachability:
    """Whether a pattern can match an ARN of any of some templates.

    witness     : an ARN that the pattern matches, None when there is none
    state_count : pairs of states the search visited; all that exist, when there is no witness
    """

    witness: str | None
    state_count: int

    @property
    def is_possible(self) -> bool:
        return self.witness is not None


def reach(pattern: str, templates: Iterable[str], *, has_variables: bool = True) -> Reachability:
    """Can this `Resource` entry match an ARN of one of the templates?

    No templates means an action that is checked on the resource `*` alone, which only a pattern
    of stars matches (RES-2). O(len(pattern) x len(template)) per template.
    """
    templates = tuple(templates)
    steps = _pattern_steps(pattern, has_variables)
    if steps is None:
        return Reachability(None, 0)
    if not templates:
        return Reachability("*" if steps == [_ANYTHING] else None, 1)
    visited = 0
    for is_typical in (True, False):
        for template in templates:
            for alternative in _template_steps(template, is_typical=is_typical):
                witness, count = _search(steps, alternative)
                visited += count
                if witness is not None:
                    return Reachability(witness, visited)
    return Reachability(None, visited)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a pattern matches nothing: the first field that does not fit, and a pattern that does."""

    reason: str
    suggestion: str


def explain_misfit(pattern: str, templates: Sequence[str]) -> Misfit:
    """Compare an unreachable pattern with the template it is nearest to, field by field."""
    if not templates:
        return Misfit("the action is checked on the resource `*` only", "*")
    wrong, template = min(((_wrong_fields(pattern, template), template) for template in templates),
                          key=lambda found: len(found[0]))
    given, wanted = pattern.split(":", 5), _generalised(template).split(":", 5)
    if len(given) < 6 or not wrong or "${" in pattern:
        return Misfit(f"its ARNs look like `{template}`", ":".join(wanted))
    first = wrong[0]
    if not given[first]:
        reason = f"the {_FIELDS[first]} field is empty"
    elif not wanted[first]:
        reason = f"the {_FIELDS[first]} field has to be empty"
    else:
        reason = f"the {_FIELDS[first]} field cannot be `{given[first]}`"
    fixed = [wanted[i] if i in wrong else field for i, field in enumerate(given)]
    return Misfit(reason, ":".join(fixed))


def _generalised(template: str) -> str:
    """The template as the broadest pattern that is still of its shape."""
    text = "".join("*" if kind == "variable" else part
                   for kind, part, _ in _template_parts(template))
    while "**" in text:
        text = text.replace("**", "*")
    return text


def _wrong_fields(pattern: str, template: str) -> list[int]:
    """Fields of the pattern that no ARN of the template fits, each field taken by itself."""
    given = pattern.split(":", 5)
    wrong = []
    for index, field in enumerate(given):
        # a template's first five fields hold no colon, so stars need no restriction here
        steps = [
            _Step(_ANY, True) if c == "*" else _Step(_ANY) if c == "?" else _literal(c)[0]
            for c in field
        ]
        if not any(_search(steps, alternative)[0] is not None
                   for alternative in _template_steps(template, only=index)):
            wrong.append(index)
    return wrong


def unreachable_statements(document: PolicyDocument, action: CatalogueAction) -> list[Diagnostic]:
    """A note for each statement that names this action but no resource it can be checked on.

    Only statements that spell the action out are looked at: beside `kms:*` a pattern may be
    meant for another action. One entry that can match is enough to say nothing.
    """
    notes = []
    spelled = action.spelling.lower()
    for statement in document.statements:
        names, resources = statement.action, statement.resource
        if names is None or names.negated or resources is None or resources.negated:
            continue
        if not resources.entries or all(entry.value.lower() != spelled for entry in names.entries):
            continue
        if any(
            index not in resources.void
            and reach(entry.value, action.arn_templates,
                      has_variables=document.has_variables).is_possible
            for index, entry in enumerate(resources.entries)
        ):
            continue
        entry = resources.entries[0]
        misfit = explain_misfit(entry.value, action.arn_templates)
        label = misfit.reason if len(resources.entries) == 1 else ""
        if action.arn_templates:
            subject = "resource pattern" if label else "resource patterns"
            message = f"{subject} can never match an ARN of `{action.spelling}`"
            remedy = (f"ARNs of the action look like `{action.arn_templates[0]}`; "
                      f"write `{misfit.suggestion}` to reach them")
        else:
            message = f"`{action.spelling}` is checked on the resource `*`, which is not listed"
            remedy = f"put `{action.spelling}` in a statement with `\"Resource\": \"*\"`"
        notes.append(Diagnostic(
            code="IT601", name="RES_UNREACHABLE", severity="note", message=message,
            location=document.source.locate(entry.span if label else resources.span),
            help=remedy, label=label if action.arn_templates else "", rule="RES-4",
        ))
    return notes
