"""The diagnostics of the grammar: every code, once, and the list in which they are collected.

A `Finding` is a kind of diagnostic: its permanent code, the specification's name for it and the
rule behind it. `docs/diagnostics.md` explains each with a policy that has it and one that has not;
a test reads both from there. Codes of findings that need a compiled policy are not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import Diagnostic, Severity
from ..source import Source, Span
from .suggestions import closest

MAX_DIAGNOSTICS = 1_000
"""Findings kept of one document, errors and others apart; a last one says how many were not."""

MAX_SUGGESTIONS = 50
"""Times that a document is told which word it may have meant."""

_QUOTE_LIMIT = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of diagnostic."""

    code: str
    name: str
    severity: Severity
    rule: str = ""

    def at(
        self,
        source: Source,
        span: Span,
        message: str,
        *,
        help: str = "",
        label: str = "",
        severity: Severity | None = None,
    ) -> Diagnostic:
        return Diagnostic(
            self.code,
            self.name,
            severity or self.severity,
            message,
            source.locate(span),
            help,
            label,
            self.rule,
        )


class Findings:
    """The diagnostics of one document, in the order of the text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: dict[bool, list[tuple[Span, Diagnostic]]] = {True: [], False: []}
        self._dropped_count = 0
        self._suggestions_left = MAX_SUGGESTIONS

    def add(
        self,
        finding: Finding,
        span: Span,
        message: str,
        *,
        help: str = "",
        label: str = "",
        severity: Severity | None = None,
    ) -> None:
        """Records that `finding` holds at `span`; `severity` overrides the usual one."""
        found = self._found[(severity or finding.severity) == "error"]
        if len(found) >= MAX_DIAGNOSTICS:
            self._dropped_count += 1
            return
        diagnostic = finding.at(
            self.source, span, message, help=help, label=label, severity=severity
        )
        found.append((span, diagnostic))

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """The known word nearest to `word`, or "". Costs a millisecond, so a document gets
        MAX_SUGGESTIONS of them."""
        if self._suggestions_left == 0:
            return ""
        self._suggestions_left -= 1
        return closest(word, known)

    @property
    def has_errors(self) -> bool:
        return bool(self._found[True])

    def diagnostics(self, *, errors_first: bool = False) -> tuple[Diagnostic, ...]:
        """All of them by place; with `errors_first` those that strict mode refuses lead."""
        both = self._found[True] + self._found[False]
        ordered = [d for _, d in sorted(both, key=lambda found: found[0])]
        if errors_first:
            ordered.sort(key=lambda d: d.severity != "error")
        if self._dropped_count:
            last = TOO_MANY.at(
                self.source, both[0][0], f"{self._dropped_count} more findings are not listed"
            )
            ordered.append(replace(last, location=None))
        return tuple(ordered)


def quoted(text: str) -> str:
    """`text` in back-ticks: clipped, and with nothing in it that a terminal would act on."""
    if len(text) > _QUOTE_LIMIT:
        text = text[: _QUOTE_LIMIT - 1] + "…"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return f"`{text}`"


# Text and document
NOT_JSON = Finding("IT101", "NOT_JSON", "error", "GRAM-0")
NOT_UTF8 = Finding("IT102", "NOT_UTF8", "error", "GRAM-1")
NOT_AN_OBJECT = Finding("IT103", "NOT_AN_OBJECT", "error", "GRAM-0")
TOO_MANY = Finding("IT104", "TOO_MANY", "note")
DUP_KEY = Finding("IT110", "DUP_KEY", "error", "GRAM-2")
UNKNOWN_ELEMENT = Finding("IT111", "UNKNOWN_ELEMENT", "error", "GRAM-6")
VERSION_VALUE = Finding("IT112", "VERSION_VALUE", "error", "GRAM-10")
VERSION_REQUIRED = Finding("IT113", "VERSION_REQUIRED", "error", "GRAM-40")
STATEMENT_MISSING = Finding("IT114", "STATEMENT_MISSING", "error", "GRAM-13")
STATEMENT_TYPE = Finding("IT115", "STATEMENT_TYPE", "error", "GRAM-13")
STATEMENT_EMPTY = Finding("IT116", "STATEMENT_EMPTY", "error", "GRAM-13")
ELEMENT_NOT_ALLOWED = Finding("IT117", "ELEMENT_NOT_ALLOWED", "error", "GRAM-40")
ELEMENT_MISSING = Finding("IT118", "ELEMENT_MISSING", "error", "GRAM-22")
ELEMENT_PAIR = Finding("IT119", "ELEMENT_PAIR", "error", "GRAM-22")
ELEMENT_TYPE = Finding("IT120", "ELEMENT_TYPE", "error", "GRAM-4")
EFFECT_MISSING = Finding("IT121", "EFFECT_MISSING", "error", "GRAM-21")
EFFECT_VALUE = Finding("IT122", "EFFECT_VALUE", "error", "GRAM-21")
EMPTY_LIST = Finding("IT123", "EMPTY_LIST", "warning", "GRAM-23")
EMPTY_NOT_LIST = Finding("IT124", "EMPTY_NOT_LIST", "error", "GRAM-23")
SID_FORM = Finding("IT125", "SID_FORM", "error", "GRAM-20")
SID_REPEATED = Finding("IT126", "SID_REPEATED", "error", "GRAM-20")
CHARACTER_RANGE = Finding("IT127", "CHARACTER_RANGE", "error", "GRAM-1")
RCP_ALLOW = Finding("IT128", "RCP_ALLOW", "error", "GRAM-42")

# Action, Resource and Principal
ACTION_FORM = Finding("IT201", "ACTION_FORM", "error", "ACT-3")
ACTION_SPACE = Finding("IT202", "ACTION_SPACE", "warning", "ACT-4")
ACTION_COLON = Finding("IT203", "ACTION_COLON", "warning", "ACT-8")
RES_NOT_ARN = Finding("IT211", "RES_NOT_ARN", "error", "RES-8")
RES_SHORT_ARN = Finding("IT212", "RES_SHORT_ARN", "warning", "RES-7")
RES_SPAN = Finding("IT213", "RES_SPAN", "note", "RES-4")
RES_TYPE_WILDCARD = Finding("IT214", "RES_TYPE_WILDCARD", "note", "RES-6")
RES_SERVICE_WILDCARD = Finding("IT215", "RES_SERVICE_WILDCARD", "note", "RES-6")
PRINCIPAL_FORM = Finding("IT221", "PRINCIPAL_FORM", "error", "GRAM-30")
PRINCIPAL_PARTIAL_WILDCARD = Finding("IT222", "PRINCIPAL_PARTIAL_WILDCARD", "error", "GRAM-32")
PRINCIPAL_VALUE = Finding("IT223", "PRINCIPAL_VALUE", "warning", "GRAM-31")
PRINCIPAL_GROUP = Finding("IT224", "PRINCIPAL_GROUP", "error", "GRAM-34")
NOTPRINCIPAL_ALLOW = Finding("IT225", "NOTPRINCIPAL_ALLOW", "warning", "PRIN-13")
NOTPRINCIPAL_CHAIN = Finding("IT226", "NOTPRINCIPAL_CHAIN", "warning", "PRIN-11")
RCP_ACTION_STAR = Finding("IT227", "RCP_ACTION_STAR", "warning", "GRAM-42")
RCP_PRINCIPAL = Finding("IT228", "RCP_PRINCIPAL", "error", "GRAM-42")

# Condition
CONDITION_SHAPE = Finding("IT301", "CONDITION_SHAPE", "error", "COND-1")
UNKNOWN_OPERATOR = Finding("IT302", "UNKNOWN_OPERATOR", "error", "COND-7")
OPERATOR_CASE = Finding("IT303", "OPERATOR_CASE", "error", "COND-7")
CONDITION_EMPTY = Finding("IT304", "CONDITION_EMPTY", "warning", "COND-8")
COND_POLICY_VALUE = Finding("IT305", "COND_POLICY_VALUE", "warning", "COND-27")
ARN_COND_SHORT = Finding("IT306", "ARN_COND_SHORT", "warning", "COND-63")
DATE_YEAR_OR_EPOCH = Finding("IT307", "DATE_YEAR_OR_EPOCH", "warning", "COND-42")
STRINGEQUALS_WILDCARD = Finding("IT308", "STRINGEQUALS_WILDCARD", "warning", "COND-33")
MULTIVALUED_PLAIN = Finding("IT309", "MULTIVALUED_PLAIN", "warning", "COND-26")

# Policy variables
VAR_BOOL = Finding("IT321", "VAR_BOOL", "note", "VAR-1")
VAR_EARLY_SEGMENT = Finding("IT322", "VAR_EARLY_SEGMENT", "note", "VAR-10")
VAR_INACTIVE = Finding("IT323", "VAR_INACTIVE", "warning", "VAR-2")
VAR_UNKNOWN = Finding("IT324", "VAR_UNKNOWN", "warning", "VAR-11")
VAR_UNCLOSED = Finding("IT325", "VAR_UNCLOSED", "warning", "VAR-11")
VAR_MULTIVALUED = Finding("IT326", "VAR_MULTIVALUED", "warning", "VAR-8")

CATALOGUE: tuple[Finding, ...] = tuple(
    sorted((f for f in list(globals().values()) if isinstance(f, Finding)), key=lambda f: f.code)
)
"""All findings by code."""
