"""Predicates on single values: section 3 of docs/spec/semantics.md, once per distinct value.

The kernel keeps one byte per (predicate, distinct value of its key); this module computes those
bytes. A value is None (absent), UNKNOWN, a str, or a tuple of str (a multivalued key). A predicate
with variables depends on further keys and is computed per distinct combination.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from ..options import Options
from .codes import BASES, NEGATED_BASES, SetOperator, State, Token
from .filled import FilledPatterns
from .globs import match_tokens
from .literals import (
    read_address,
    read_binary,
    read_bool,
    read_instant,
    read_network,
    read_number,
)
from .values import encode_text


class _Unknown:
    """Type of the only value `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""A context value that exists in AWS but cannot be known from the input (CTX-4)."""

Value = None | _Unknown | str | tuple[str, ...]
Glyph = tuple[int, int]
"""Token code and its argument: a code point, or the index of a variable."""

Comparison = Callable[[str], bool]

_POSITIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnLike",
    "ArnNotLike": "ArnLike",
    "ArnEquals": "ArnLike",
}


_PREFIXES = {
    SetOperator.PLAIN: "",
    SetOperator.FOR_ALL_VALUES: "ForAllValues:",
    SetOperator.FOR_ANY_VALUE: "ForAnyValue:",
}


class VariableTable:
    """The variables of a table: index -> key id (-1: no key) and default."""

    def __init__(self, key_ids: Sequence[int], defaults: Sequence[str | None]) -> None:
        self.key_ids = key_ids
        self.defaults = defaults

    def resolve(self, variable: int, values: Mapping[int, Value]) -> str | _Unknown | None:
        """Text of a variable: its value, its default, or None when null (VAR-5 to VAR-8)."""
        key_id = self.key_ids[variable]
        value = values[key_id] if key_id >= 0 else None
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, str) and value != "":
            return value
        return self.defaults[variable]

    def substitute(
        self, glyphs: Sequence[Glyph], values: Mapping[int, Value]
    ) -> list[Glyph] | _Unknown | None:
        """Glyphs with variables replaced by literal text (VAR-9); None when one is null."""
        out: list[Glyph] = []
        is_null = False
        for token, argument in glyphs:
            if token != Token.VARIABLE:
                out.append((token, argument))
                continue
            text = self.resolve(argument, values)
            if isinstance(text, _Unknown):
                return UNKNOWN
            if text is None:
                is_null = True
            else:
                out += [(int(Token.POINT), ord(c)) for c in text]
        return None if is_null else out


class Predicate:
    """One operator x key x values entry, ready to be asked about values of its key.

    variable_keys : ids of the keys its variables name, ascending; empty for most predicates.
    """

    def __init__(
        self,
        set_operator: int,
        base: int,
        if_exists: bool,
        key_id: int,
        values: Sequence[Sequence[Glyph]],
        variables: VariableTable,
        options: Options,
    ) -> None:
        self.key_id = key_id
        self.base = BASES[base]
        self.negated = self.base in NEGATED_BASES
        self.set_operator = SetOperator(set_operator)
        self.if_exists = if_exists
        self.values = values
        self._variables = variables
        self._empty_is_null = options.null_empty_string == "null"
        self._plain_any = options.multivalued_plain == "any"
        used = {a for glyphs in values for token, a in glyphs if token == Token.VARIABLE}
        self.variable_keys = tuple(
            sorted({variables.key_ids[v] for v in used if variables.key_ids[v] >= 0})
        )
        self._has_variables = bool(used)
        self._static: Comparison | None = None

    @property
    def name(self) -> str:
        """The operator as a policy writes it."""
        suffix = "IfExists" if self.if_exists else ""
        return f"{_PREFIXES[self.set_operator]}{self.base}{suffix}"

    def evaluate(self, own: Value, values: Mapping[int, Value]) -> State:
        """State for the value of the own key; `values` holds those of the variable keys."""
        if own is UNKNOWN or any(values[k] is UNKNOWN for k in self.variable_keys):
            return self._state_of_unknown
        assert not isinstance(own, _Unknown)
        return State.YES if self._holds(own, values) else State.NO

    @cached_property
    def _state_of_unknown(self) -> State:
        """State while a key is unknown: what holds for every value and for none is known even then
        (three-valued.md)."""
        if self.base == "Null":
            wanted = {_text(glyphs).lower() for glyphs in self.values} & {"true", "false"}
            if len(wanted) == 1:
                return State.UNKNOWN
            return State.YES if wanted else State.NO
        if self.values or self.if_exists or self.negated:
            return State.UNKNOWN
        is_for_all = self.set_operator == SetOperator.FOR_ALL_VALUES
        return State.UNKNOWN if is_for_all else State.NO  # COND-8: any of nothing

    def _holds(self, value: str | tuple[str, ...] | None, values: Mapping[int, Value]) -> bool:
        if self.base == "Null":
            wanted = "true" if self._is_null(value) else "false"
            return any(_text(glyphs).lower() == wanted for glyphs in self.values)
        if self.set_operator == SetOperator.FOR_ALL_VALUES:  # COND-23
            return self._is_null(value) or all(map(self._one(values), _as_list(value)))
        if self.set_operator == SetOperator.FOR_ANY_VALUE:  # COND-24
            if value is None and self.if_exists:
                return True
            return not self._is_null(value) and any(map(self._one(values), _as_list(value)))
        if value is None or value == ():
            return self.if_exists or self.negated  # COND-20 to COND-22
        if isinstance(value, tuple):  # COND-26
            return self._plain_any and any(map(self._one(values), value))
        return self._one(values)(value)

    def _is_null(self, value: str | tuple[str, ...] | None) -> bool:
        """COND-12."""
        if value is None or value == ():
            return True
        return self._empty_is_null and (value == "" or value == ("",))

    def _one(self, values: Mapping[int, Value]) -> Comparison:
        """Comparison of one request value with all policy values (`one` of section 3.3)."""
        if not self._has_variables:
            if self._static is None:
                self._static = self._compile([list(glyphs) for glyphs in self.values])
            return self._static
        resolved = []
        for glyphs in self.values:
            text = self._variables.substitute(glyphs, values)
            assert not isinstance(text, _Unknown)
            if text is not None:  # a null variable equals nothing, and is no error (COND-29)
                resolved.append(text)
        return self._compile(resolved)

    def _compile(self, resolved: list[list[Glyph]]) -> Comparison:
        positive = _POSITIVE.get(self.base, self.base)
        if positive == "StringLike":
            any_of = FilledPatterns([(*_packed(glyphs), 1) for glyphs in resolved], 0)
            return self._signed(lambda r: any_of.state(encode_text(r)) == 1)
        if positive == "ArnLike":
            return self._compile_arn(resolved)
        return self._compile_typed(positive, [_text(glyphs) for glyphs in resolved])

    def _compile_typed(self, positive: str, texts: list[str]) -> Comparison:
        if positive == "StringEquals":
            exact = frozenset(texts)
            return self._signed(lambda r: r in exact)
        if positive == "StringEqualsIgnoreCase":
            lowered = frozenset(t.lower() for t in texts)  # COND-31
            return self._signed(lambda r: r.lower() in lowered)
        read_request, read_policy, test = _TYPED[positive]
        readable = [read_policy(t) for t in texts]
        has_error = any(p is None for p in readable)
        operands = [p for p in readable if p is not None]
        negated = self.negated

        def compare(text: str) -> bool:
            if not readable:
                return negated  # COND-8: nothing is compared, so nothing fails
            request = read_request(text)
            if request is None:
                return False  # a type error fails closed under both signs (COND-27)
            matched = any(test(request, p) for p in operands)
            return (not matched and not has_error) if negated else matched

        return compare

    def _compile_arn(self, resolved: list[list[Glyph]]) -> Comparison:
        patterns = [_arn_pattern(glyphs) for glyphs in resolved]
        has_error = any(p is None for p in patterns)
        usable = [_packed(p) for p in patterns if p is not None]
        negated = self.negated

        def compare(text: str) -> bool:
            if not patterns:
                return negated
            if not text.startswith("arn") or text.count(":") < 5:
                return False  # COND-63
            matched = any(match_tokens(k, p, text) for k, p in usable)
            return (not matched and not has_error) if negated else matched

        return compare

    def _signed(self, test: Comparison) -> Comparison:
        return (lambda r: not test(r)) if self.negated else test


def _as_list(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _text(glyphs: Sequence[Glyph]) -> str:
    return "".join(chr(argument) for _, argument in glyphs)


def _packed(glyphs: Sequence[Glyph]) -> tuple[np.ndarray, np.ndarray]:
    kinds = np.array([token for token, _ in glyphs], dtype=np.uint8)
    points = np.array([argument for _, argument in glyphs], dtype=np.uint32)
    return kinds, points


def _arn_pattern(glyphs: list[Glyph]) -> list[Glyph] | None:
    """Wildcards bound to their component, but for the sixth (COND-61, COND-62)."""
    out: list[Glyph] = []
    colons = 0
    for token, argument in glyphs:
        if token == Token.POINT:
            colons += argument == ord(":")
        elif colons < 5:
            token = Token.STAR_BUT_COLON if token == Token.STAR else Token.ANY_BUT_COLON
        out.append((token, argument))
    starts = [argument for token, argument in out[:3] if token == Token.POINT]
    if colons < 5 or starts != [ord(c) for c in "arn"]:
        return None  # COND-63
    return out


def _less(r: object, p: object) -> bool:
    return bool(r < p)  # type: ignore[operator]


_ORDER: dict[str, Callable[[object, object], bool]] = {
    "Equals": lambda r, p: r == p,
    "LessThan": _less,
    "LessThanEquals": lambda r, p: not _less(p, r),
    "GreaterThan": lambda r, p: _less(p, r),
    "GreaterThanEquals": lambda r, p: not _less(r, p),
}

_Reader = Callable[[str], object]
_TYPED: dict[str, tuple[_Reader, _Reader, Callable[[object, object], bool]]] = {
    "Bool": (read_bool, read_bool, lambda r, p: r is p),
    "BinaryEquals": (read_binary, read_binary, lambda r, p: r == p),
    "IpAddress": (
        read_address,
        read_network,
        lambda r, p: r[0] == p.family and r[1] & p.mask == p.bits,  # type: ignore[index,attr-defined]
    ),
    **{f"Numeric{name}": (read_number, read_number, test) for name, test in _ORDER.items()},
    **{f"Date{name}": (read_instant, read_instant, test) for name, test in _ORDER.items()},
}
