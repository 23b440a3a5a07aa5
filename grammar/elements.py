"""`Action` and `Resource`: their lists, and what is wrong with single entries.

What depends only on the text of an entry is worked out once per distinct text: real policies
repeat their ARNs. An entry that can match nothing is `void`; its neighbours still count (GRAM-0).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..source import Span
from .findings import (
    ACTION_COLON,
    ACTION_FORM,
    ACTION_SPACE,
    ELEMENT_TYPE,
    EMPTY_LIST,
    EMPTY_NOT_LIST,
    RCP_ACTION_STAR,
    RES_NOT_ARN,
    RES_SERVICE_WILDCARD,
    RES_SHORT_ARN,
    RES_SPAN,
    RES_TYPE_WILDCARD,
    VAR_EARLY_SEGMENT,
    Findings,
    quoted,
)
from .json_syntax import JsonArray, JsonScalar, JsonValue, described
from .memo import Memo
from .patterns import SEGMENT_COUNT, parse_pattern
from .tree import NONE_VOID, ActionElement, PolicyType, Question, ResourceElement, Run, Star, Text
from .variables import check_variables
from .vocabulary import TYPE_NAMES, UNTYPED_SERVICES

_VARIABLE_MARK = "\0"
_WILD = re.compile(r"[*?]")


def read_strings(value: JsonValue, name: str, findings: Findings) -> tuple[Text, ...] | None:
    """The entries of a string or an array of strings (GRAM-4); None after reporting if it is not
    one."""
    if isinstance(value, Text):
        return (value,)
    if isinstance(value, JsonArray):
        if value.is_text:
            return tuple(value.items)
        for item in value.items:
            if not isinstance(item, Text):
                report_type(item, f"an entry of `{name}`", "a string", findings)
        return None
    report_type(value, f"`{name}`", "a string or an array of strings", findings)
    return None


def report_type(value: JsonValue, what: str, wanted: str, findings: Findings) -> None:
    """Reports that `value` should have been another kind of JSON."""
    help = f"write {wanted}"
    if isinstance(value, JsonScalar) and value.lexeme != "null":
        help = f'write it in double quotes: `"{value.lexeme}"`'
    findings.add(
        ELEMENT_TYPE, value.span, f"{what} must be {wanted}, not {described(value)}", help=help
    )


def _check_empty(name: str, span: Span, findings: Findings) -> bool:
    """Reports an empty list; True if it spoils the statement (GRAM-23)."""
    if name.startswith("Not"):
        findings.add(
            EMPTY_NOT_LIST,
            span,
            f"`{name}` is empty, so it would exclude nothing",
            help=f'write `"{name[3:]}": "*"` if everything is meant',
        )
        return True
    findings.add(
        EMPTY_LIST,
        span,
        f"`{name}` is empty, so the statement matches nothing",
        help="list what the statement is about, or remove it",
    )
    return False


# Action


def _action_problem(text: str) -> str:
    """What is wrong with an action pattern: nothing (""), `space`, `form` or `colon`."""
    if any(map(str.isspace, text)):
        return "space"
    service, colon, name = text.partition(":")
    if not colon:
        return "" if service and not service.strip("*") else "form"
    if not service or not name or (service.strip("*") and _WILD.search(service)):
        return "form"
    return "colon" if ":" in name else ""


def read_action(
    name: str, value: JsonValue, policy_type: PolicyType, findings: Findings
) -> ActionElement | None:
    """`Action` or `NotAction`; None if it is faulty, which has been reported."""
    entries = read_strings(value, name, findings)
    if entries is None or (not entries and _check_empty(name, value.span, findings)):
        return None
    void = []
    problems = [action_problem[entry.value] for entry in entries]
    if not any(problems) and policy_type != "rcp":
        return ActionElement(name == "NotAction", (value.start, value.end), entries, NONE_VOID)
    for i, (entry, problem) in enumerate(zip(entries, problems, strict=True)):
        if problem:
            _report_action(problem, entry, findings)
            if problem != "colon":
                void.append(i)
        elif policy_type == "rcp" and not entry.value.strip("*"):
            findings.add(
                RCP_ACTION_STAR,
                entry.span,
                "AWS may refuse `*` as an action of a resource control policy",
                help="name the services: `s3:*`, `sts:*`",
            )
    return ActionElement(name == "NotAction", (value.start, value.end), entries, frozenset(void))


action_problem = Memo(_action_problem)


def _report_action(problem: str, entry: Text, findings: Findings) -> None:
    text = entry.value
    shown = quoted(text)
    if problem == "space":
        findings.add(
            ACTION_SPACE,
            entry.span,
            f"action {shown} holds white space, so it matches nothing",
            help=f"write {quoted(''.join(text.split()))}",
        )
        return
    if problem == "colon":
        findings.add(
            ACTION_COLON,
            entry.span,
            f"action {shown} has a second colon, which no action name has",
            help="write `service:Name`",
        )
        return
    service, colon, _ = text.partition(":")
    if colon and _WILD.search(service):
        why = "has a wildcard in its service"
        help = "name the service, or write `*` for all of them"
    elif colon and not service:
        why, help = "names no service", "write `service:Name`"
    elif colon:
        why, help = "names no action", f"write {quoted(service + ':*')} for all of them"
    else:
        why, help = "has no colon", "write `service:Name`, `service:*` or `*`"
    findings.add(ACTION_FORM, entry.span, f"action {shown} {why}, so it matches nothing", help=help)


# Resource


class ResourceFacts(NamedTuple):
    """What the text of a `Resource` entry says about itself."""

    is_star: bool
    is_arn: bool
    segment_count: int
    has_star: bool
    has_trailing_star: bool
    can_span: bool
    """A `*` ends one of the first five segments (RES-4)."""
    has_service_wildcard: bool
    has_type_wildcard: bool
    has_early_variable: bool

    @property
    def is_remarkable(self) -> bool:
        return not self.is_star and (
            not self.is_arn
            or self.segment_count < SEGMENT_COUNT
            or self.can_span
            or self.has_service_wildcard
            or self.has_type_wildcard
            or self.has_early_variable
        )


def _facts(text: str, shape: str) -> ResourceFacts | None:
    """Facts about a resource pattern, with its variables as marks in `shape`; None if there is
    nothing to say about it."""
    segments = shape.split(":", SEGMENT_COUNT - 1)
    head, rest = segments[: SEGMENT_COUNT - 1], segments[SEGMENT_COUNT - 1 :]
    service = head[2] if len(head) > 2 else ""
    can_span = any(s.endswith("*") for s in (head if rest else head[:-1]))
    type_word = re.split("[/:]", rest[0], maxsplit=1)[0] if rest else ""
    facts = ResourceFacts(
        is_star=bool(text) and not text.strip("*"),
        is_arn=text.startswith("arn:"),
        segment_count=len(segments),
        has_star="*" in shape,
        has_trailing_star=shape.endswith("*"),
        can_span=can_span,
        has_service_wildcard=_WILD.search(service) is not None,
        has_type_wildcard=(
            _WILD.search(type_word) is not None
            and rest[0].strip("*") != ""
            and _WILD.search(service) is None
            and service not in UNTYPED_SERVICES
        ),
        has_early_variable=shape is not text and any(_VARIABLE_MARK in s for s in head),
    )
    return facts if facts.is_remarkable else None


_plain_facts = Memo(lambda text: _facts(text, text))
_facts_with_variables = Memo(lambda text: _facts(text, _shape(text)))


def _shape(text: str) -> str:
    """`text` with each variable as one mark, and `${*}` as an ordinary character."""
    pieces = []
    for token in parse_pattern(text, variables=True):
        if isinstance(token, Run):
            pieces.append(_WILD.sub("x", token.text.replace(_VARIABLE_MARK, "x")))
        elif isinstance(token, Star):
            pieces.append("*")
        elif isinstance(token, Question):
            pieces.append("?")
        else:
            pieces.append(_VARIABLE_MARK)
    return "".join(pieces)


def read_resource(
    name: str,
    value: JsonValue,
    policy_type: PolicyType,
    variables: bool,
    findings: Findings,
    spanning: list[Text],
) -> ResourceElement | None:
    """`Resource` or `NotResource`; None if it is faulty, which has been reported.

    Entries that may match across colons are appended to `spanning`: they are too common to be
    reported one by one (`report_spanning`).
    """
    entries = read_strings(value, name, findings)
    if entries is None or (not entries and _check_empty(name, value.span, findings)):
        return None
    void = []
    is_faulty = False
    for i, entry in enumerate(entries):
        text = entry.value
        if "${" in text:
            check_variables(entry, variables, findings)
            facts = (_facts_with_variables if variables else _plain_facts)[text]
        else:
            facts = _plain_facts[text]
        if facts is None:
            continue
        if not facts.is_arn:
            _report_not_arn(entry, findings)
            void.append(i)
            continue
        if facts.segment_count < SEGMENT_COUNT:
            meaning = _short_arn(facts, policy_type)
            _report_short_arn(entry, meaning, policy_type, findings)
            is_faulty = is_faulty or meaning == "invalid"
            if meaning == "void":
                void.append(i)
        if facts.can_span:
            spanning.append(entry)
        _report_wildcards(entry, facts, findings)
    if is_faulty:
        return None
    return ResourceElement(
        name == "NotResource",
        (value.start, value.end),
        entries,
        frozenset(void) if void else NONE_VOID,
    )


def report_spanning(spanning: list[Text], findings: Findings) -> None:
    """One note for all entries of a document whose `*` may match across colons (RES-4)."""
    if spanning:
        others = len(spanning) - 1
        more = f", and so has {others} more" if others == 1 else f", and so have {others} more"
        findings.add(
            RES_SPAN,
            spanning[0].span,
            f"resource {quoted(spanning[0].value)} has a `*` that may match across colons"
            f"{more if others else ''}",
            help="write that segment out where the names of resources may hold colons",
        )


def _report_not_arn(entry: Text, findings: Findings) -> None:
    text = entry.value
    help = "write `*`, or a full ARN: `arn:partition:service:region:account:resource`"
    if text.startswith("${"):
        help = "spell out `arn:` and put the variable behind it"
    elif text[:4].lower() == "arn:":
        help = "write `arn:` in lower case"
    elif text.strip() != text:
        help = "remove the white space around it"
    findings.add(
        RES_NOT_ARN,
        entry.span,
        f"resource {quoted(text)} is neither `*` nor an ARN, so it matches nothing",
        help=help,
    )


def _short_arn(facts: ResourceFacts, policy_type: PolicyType) -> str:
    """What an ARN with fewer than six segments means (RES-7): `padded`, `void` or `invalid`."""
    if policy_type == "rcp" or (policy_type == "scp" and not facts.has_trailing_star):
        return "invalid"
    if policy_type in ("resource", "trust", "vpce") and not facts.has_star:
        return "void"
    return "padded"


def _report_short_arn(
    entry: Text, meaning: str, policy_type: PolicyType, findings: Findings
) -> None:
    effect = {
        "padded": "the missing ones are read as `*`",
        "void": "so it matches nothing",
        "invalid": f"which {TYPE_NAMES[policy_type]} must not have",
    }[meaning]
    findings.add(
        RES_SHORT_ARN,
        entry.span,
        f"resource {quoted(entry.value)} has fewer than six segments, {effect}",
        help="write all six: `arn:partition:service:region:account:resource`",
        severity="error" if meaning == "invalid" else None,
    )


def _report_wildcards(entry: Text, facts: ResourceFacts, findings: Findings) -> None:
    if facts.has_service_wildcard:
        findings.add(
            RES_SERVICE_WILDCARD,
            entry.span,
            f"resource {quoted(entry.value)} has a wildcard in its service",
            help="name the service; AWS documents no wildcard there",
        )
    if facts.has_type_wildcard:
        findings.add(
            RES_TYPE_WILDCARD,
            entry.span,
            f"resource {quoted(entry.value)} has a wildcard in its resource type",
            help="name the type; AWS documents no wildcard there",
        )
    if facts.has_early_variable:
        findings.add(
            VAR_EARLY_SEGMENT,
            entry.span,
            f"resource {quoted(entry.value)} has a variable before its fifth colon",
            help="AWS documents variables only behind it; write the segment out",
        )
