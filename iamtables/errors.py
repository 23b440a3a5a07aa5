"""Every exception that crosses the public boundary, and how a diagnostic looks in print.

All stages import this module and it imports none of them. An error carries data (code, span,
limit, ...) and renders itself here, in one place. Codes are permanent: a retired one is never
reused. `docs/diagnostics.md` has a line for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source text. `line` and `column` are 1-based, in code points."""

    path: str
    line: int
    column: int
    length: int
    row: str = ""
    """Text of that line, without its line break (clipped around the span when very long)."""
    row_column: int = 0
    """1-based column of the span inside `row`; 0 when `row` is not clipped."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


def underline(row: str, column: int, length: int) -> str:
    """Marker line for `row`; `column` is 1-based in code points, tabs keep their width."""
    pad = "".join("\t" if ch == "\t" else " " for ch in row[: column - 1])
    return pad + "^" * max(1, min(length, len(row) - column + 1))


def printable(text: str) -> str:
    """`text` without characters that a terminal would act on; columns stay where they are."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def render_location(location: Location, label: str = "") -> str:
    """`  --> file:line:column`, the source row and a caret line, as compilers print it."""
    margin = " " * len(str(location.line))
    lines = [f"{margin}--> {location}"]
    if location.row:
        marker = underline(location.row, location.row_column or location.column, location.length)
        lines += [
            f"{margin} |",
            f"{location.line} | {printable(location.row)}",
            f"{margin} | {marker}{' ' + label if label else ''}",
        ]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a document: a permanent code, a sentence, a place and a remedy."""

    code: str
    """`IT` and three digits, permanent."""
    name: str
    """The name the specification uses, e.g. `ACTION_FORM`."""
    severity: Severity
    message: str
    location: Location | None = None
    help: str = ""
    label: str = ""
    rule: str = ""
    """Rule of docs/spec/semantics.md that it implements, e.g. `ACT-3`."""

    def render(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.location is not None:
            lines.append(render_location(self.location, self.label))
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


class IamtablesError(Exception):
    """Root of all errors raised by this package. `str(error)` is ready to print."""

    code = "IT000"

    def __init__(self, message: str, *, help: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        text = f"error[{self.code}]: {self.message}"
        return f"{text}\nhelp: {self.help}" if self.help else text


class PolicyError(IamtablesError):
    """A policy document was refused. `diagnostics` holds every finding, errors first."""

    code = "IT100"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first = self.diagnostics[0]
        super().__init__(first.message, help=first.help, code=first.code)

    def __str__(self) -> str:
        return "\n".join(d.render() for d in self.diagnostics)


class PolicySyntaxError(PolicyError):
    """The text is not JSON, or its top level is not an object (an error in both modes)."""


class PolicySemanticError(PolicyError):
    """Strict mode: the text is JSON, but AWS would refuse to store it as a policy."""


class SourceError(IamtablesError):
    """A file or directory given as input cannot be used. `path` names it."""

    code = "IT010"

    def __init__(self, message: str, *, path: str, help: str = "", code: str | None = None) -> None:
        super().__init__(message, help=help, code=code)
        self.path = path


class LimitError(IamtablesError):
    """An input is larger than a limit. `limit` is the limit's name, `allowed` its value."""

    code = "IT020"

    def __init__(self, message: str, *, limit: str, allowed: int, given: int | None = None,
                 help: str = "") -> None:
        super().__init__(message, help=help)
        self.limit = limit
        self.allowed = allowed
        self.given = given


class RequestError(IamtablesError):
    """One request cannot be asked: a malformed action, resource or context value."""

    code = "IT030"

    def __init__(self, message: str, *, field: str, help: str = "") -> None:
        super().__init__(message, help=help)
        self.field = field


class ColumnError(IamtablesError):
    """Columns do not fit together or have a type that cannot be read. `column` names one."""

    code = "IT040"

    def __init__(self, message: str, *, column: str = "", help: str = "") -> None:
        super().__init__(message, help=help)
        self.column = column


class ArtefactError(IamtablesError):
    """A compiled file is truncated, altered, foreign or of another format version."""

    code = "IT050"

    def __init__(self, message: str, *, path: str = "", part: str = "", help: str = "") -> None:
        super().__init__(message, help=help)
        self.path = path
        self.part = part


class OrganizationError(SourceError):
    """A snapshot of an organization contradicts itself or cannot be read. `path` names the file
    or directory, `name` what it is about there (an account, a principal, a policy)."""

    code = "IT070"

    def __init__(self, message: str, *, path: str, name: str = "", help: str = "") -> None:
        super().__init__(message, path=path, help=help)
        self.name = name


class MissingExtraError(IamtablesError):
    """An engine is not installed. `extra` is the optional dependency that brings it."""

    code = "IT080"

    def __init__(self, engine: str, *, extra: str) -> None:
        super().__init__(f"{engine} is not installed",
                         help=f"install it with `pip install 'iamtables[{extra}]'`")
        self.extra = extra
