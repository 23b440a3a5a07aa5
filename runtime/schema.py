"""The arrays of a compiled table: names, dtypes, and what every id and offset must satisfy.

Kernels trust their arrays, so a table is checked as a whole before it is used: after compilation in
tests, and whenever an artefact is opened with `verify=True`, also one whose hash was made to fit.
The rules below are data; `check_arrays` is the only code that reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtefactError
from .codes import (
    BASES,
    GLOB_BASES,
    NO_ID,
    VARIABLE_BASES,
    Effect,
    KeyKind,
    Layer,
    PrincipalKind,
    Role,
    SetOperator,
    Token,
)

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Rule:
    """One array: dtype, length (an array name, `starts:NAME`, or free), and bounds of its values.

    rows    : `NAME`: as long as that array times `times`; `starts`: one longer than `of`
    below   : values are below the length of that array, or this number
    or_none : NO_ID is allowed beside the bound
    """

    dtype: str
    like: str = ""
    times: int = 1
    plus: int = 0
    below: str | int | None = None
    or_none: bool = False
    offsets_into: str = ""
    """The values are ascending offsets from 0 to the length of that array."""


_GLOB_RULES = {
    "byte": Rule("uint8", like="first_child"),
    "label": Rule("uint8"),
    "label_start": Rule("uint32", like="first_child", plus=1, offsets_into="label"),
    "first_child": Rule("uint32"),
    "child_count": Rule("uint32", like="first_child"),
    "subs": Rule("uint8", like="first_child", below=4),
    "end_start": Rule("uint32", like="first_child", plus=1, offsets_into="end_pattern"),
    "end_pattern": Rule("uint32", below="automaton"),
    "end_kind": Rule("uint8", like="end_pattern", below=4),
    "end_colons": Rule("uint8", like="end_pattern"),
    "end_grams": Rule("uint64", like="end_pattern"),
    "piece": Rule("uint8"),
    "piece_start": Rule("uint32", offsets_into="piece"),
    "program_start": Rule("uint32", like="automaton", plus=1),
    "automaton": Rule("uint32", below="word_count", or_none=True),
    "word_count": Rule("uint32"),
    "mask": Rule("uint64"),
    "mask_start": Rule("uint64", like="word_count", plus=1, offsets_into="mask"),
    "symbol": Rule("uint32"),
    "symbol_start": Rule("uint32", like="word_count", plus=1, offsets_into="symbol"),
}

TEXTS = (
    "action_text", "resource_text", "key_name", "variable_default", "source_name", "source_text",
    "source_date", "source_version", "source_sha256", "statement_sid", "principal_entry_text",
    "class_gap", "account_id", "account_org_id", "account_org_path", "account_gap",
    "account_services", "alias_id", "alias_key", "principal_arn",
    "principal_unique_id", "principal_tags", "governed_id", "governed_account", "governed_tags",
    "endpoint_id", "endpoint_account", "endpoint_vpc",
)  # fmt: skip
"""Lists of texts: `NAME` holds the UTF-8 bytes, `NAME_start` the offsets."""

_STATEMENT = "statement_effect"
_CLASS = "class_is_open"

RULES: dict[str, Rule] = {
    **{f"action/{name}": rule for name, rule in _GLOB_RULES.items()},
    **{f"resource/{name}": rule for name, rule in _GLOB_RULES.items()},
    **{name: Rule("uint8") for name in TEXTS},
    **{f"{name}_start": Rule("uint32", offsets_into=name) for name in TEXTS},
    "source_line": Rule("uint32"),
    "source_column": Rule("uint32", like="source_line"),
    "key_kind": Rule("uint8", below=len(KeyKind)),
    "variable_key": Rule("uint32", below="key_kind", or_none=True),
    "variable_has_default": Rule("uint8", like="variable_key", below=2),
    "glyph_token": Rule("uint8", below=len(Token)),
    "glyph_argument": Rule("uint32", like="glyph_token"),
    "sequence_start": Rule("uint32", offsets_into="glyph_token"),
    "resource_is_all": Rule("uint8", like="resource/automaton", below=2),
    "resource_sequence": Rule("uint32", like="resource/automaton", or_none=True),
    "action_set_negated": Rule("uint8", below=2),
    "action_set_start": Rule("uint32", like="action_set_negated", plus=1,
                             offsets_into="action_set_pattern"),
    "action_set_pattern": Rule("uint32", below="action/automaton"),
    "resource_set_negated": Rule("uint8", below=2),
    "resource_set_start": Rule("uint32", like="resource_set_negated", plus=1,
                               offsets_into="resource_set_pattern"),
    "resource_set_pattern": Rule("uint32", below="resource/automaton"),
    "predicate_set_operator": Rule("uint8", like="predicate_key", below=len(SetOperator)),
    "predicate_base": Rule("uint8", like="predicate_key", below=len(BASES)),
    "predicate_if_exists": Rule("uint8", like="predicate_key", below=2),
    "predicate_key": Rule("uint32", below="key_kind"),
    "predicate_value_start": Rule("uint32", like="predicate_key", plus=1,
                                  offsets_into="predicate_value"),
    "predicate_value": Rule("uint32"),
    "statement_effect": Rule("uint8", below=len(Effect)),
    "statement_layer": Rule("uint8", like=_STATEMENT, below=len(Layer)),
    "statement_document": Rule("uint32", like=_STATEMENT),
    "statement_index": Rule("uint32", like=_STATEMENT),
    "statement_flags": Rule("uint8", like=_STATEMENT, below=4),
    "statement_action_set": Rule("uint32", like=_STATEMENT, below="action_set_negated",
                                 or_none=True),
    "statement_resource_set": Rule("uint32", like=_STATEMENT, below="resource_set_negated",
                                   or_none=True),
    "statement_predicate_start": Rule("uint32", like=_STATEMENT, plus=1,
                                      offsets_into="statement_predicate"),
    "statement_predicate": Rule("uint32", below="predicate_key"),
    "statement_principal": Rule("uint32", like=_STATEMENT, below="principal_element_flags",
                                or_none=True),
    "statement_span": Rule("uint32", like=_STATEMENT, times=10),
    "action_entry_start": Rule("uint32", like=_STATEMENT, plus=1, offsets_into="action_entry_id"),
    "action_entry_id": Rule("uint32", below="action/automaton", or_none=True),
    "action_entry_span": Rule("uint32", like="action_entry_id", times=2),
    "resource_entry_start": Rule("uint32", like=_STATEMENT, plus=1,
                                 offsets_into="resource_entry_id"),
    "resource_entry_id": Rule("uint32", below="resource/automaton", or_none=True),
    "resource_entry_span": Rule("uint32", like="resource_entry_id", times=2),
    "predicate_entry_start": Rule("uint32", like=_STATEMENT, plus=1,
                                  offsets_into="predicate_entry_id"),
    "predicate_entry_id": Rule("uint32", below="predicate_key"),
    "predicate_entry_span": Rule("uint32", like="predicate_entry_id", times=2),
    "class_is_open": Rule("uint8", below=2),
    "class_start": Rule("uint32", like=_CLASS, plus=1, offsets_into="class_statement"),
    "class_statement": Rule("uint32", below=_STATEMENT),
    "principal_element_flags": Rule("uint8", below=16),
    "principal_entry_start": Rule("uint32", like="principal_element_flags", plus=1,
                                  offsets_into="principal_entry_kind"),
    "principal_entry_kind": Rule("uint8", below=len(PrincipalKind)),
    "place_role": Rule("uint8", below=len(Role)),
    "place_class": Rule("uint32", like="place_role", below=_CLASS),
    "account_flags": Rule("uint8", below=16),
    "account_scp_start": Rule("uint32", like="account_flags", plus=1, offsets_into="account_scp"),
    "account_scp": Rule("uint32", below=_CLASS),
    "account_rcp_start": Rule("uint32", like="account_flags", plus=1, offsets_into="account_rcp"),
    "account_rcp": Rule("uint32", below=_CLASS),
    "principal_identity": Rule("uint32", below=_CLASS),
    "principal_boundary": Rule("uint32", like="principal_identity", below=_CLASS, or_none=True),
    "principal_has_session_tags": Rule("uint8", like="principal_identity", below=2),
    "governed_class": Rule("uint32", below=_CLASS),
    "endpoint_class": Rule("uint32", below=_CLASS),
}

_MASK_ROWS = 5
_MAX_TESTS = 0xFFFF
_MAX_SETS = 1 << 30
_LAST_POINT = 0x10FFFF


def check_arrays(arrays: Arrays, path: str = "") -> None:
    """Raise ArtefactError unless every id and offset is in range. O(size), vectorised."""
    for name, rule in RULES.items():
        _check_type(arrays, name, rule, path)
    for name, rule in RULES.items():
        _check_array(arrays, name, rule, path)
    for prefix in ("action/", "resource/"):
        _check_globs(arrays, prefix, path)
    _check_links(arrays, path)
    _check_glyphs(arrays, path)
    _check_spans(arrays, path)


def _fail(path: str, part: str, what: str) -> ArtefactError:
    return ArtefactError(
        f"table part `{part}` {what}",
        path=path,
        part=part,
        help="the file is damaged or was made by hand; compile the policies again",
    )


def _check_type(arrays: Arrays, name: str, rule: Rule, path: str) -> None:
    array = arrays.get(name)
    if array is None:
        raise _fail(path, name, "is missing")
    if array.dtype != np.dtype(rule.dtype) or array.ndim != 1 or not array.flags.c_contiguous:
        raise _fail(path, name, f"is not a plain array of {rule.dtype}")


def _check_array(arrays: Arrays, name: str, rule: Rule, path: str) -> None:
    array = arrays[name]
    prefix = name.partition("/")[0] + "/" if "/" in name else ""

    def other(of: str) -> Array:
        return arrays[prefix + of if prefix and of in _GLOB_RULES else of]

    if rule.like and len(array) != len(other(rule.like)) * rule.times + rule.plus:
        raise _fail(path, name, "has the wrong length")
    if rule.offsets_into:
        _check_offsets(array, len(other(rule.offsets_into)), name, path)
    if rule.below is not None and len(array):
        bound = rule.below if isinstance(rule.below, int) else len(other(rule.below))
        values = array[array != NO_ID] if rule.or_none else array
        if len(values) and int(values.max()) >= bound:
            raise _fail(path, name, "holds an id that is out of range")


def _check_offsets(array: Array, end: int, name: str, path: str) -> None:
    if len(array) == 0 or array[0] != 0 or int(array[-1]) != end:
        raise _fail(path, name, "does not cover its data")
    if np.any(array[1:] < array[:-1]):
        raise _fail(path, name, "holds offsets that go backwards")


def _check_globs(arrays: Arrays, prefix: str, path: str) -> None:
    """Every node but the root hangs on one node before it, so no walk ends where it has been."""
    get = {name: arrays[prefix + name] for name in _GLOB_RULES}
    nodes = len(get["first_child"])
    if nodes == 0:
        raise _fail(path, prefix + "first_child", "has no root")
    first = get["first_child"].astype(np.int64)
    children = get["child_count"].astype(np.int64)
    links = children + (get["subs"] & 1) + (get["subs"] >> 1)
    if np.any(children > 256) or int(links.sum()) != nodes - 1:
        raise _fail(path, prefix + "child_count", "does not reach every node once")
    if np.any(first != 1 + np.cumsum(links) - links):
        raise _fail(path, prefix + "first_child", "is not in the order of the nodes")
    if np.any(first[links > 0] <= np.flatnonzero(links)):
        raise _fail(path, prefix + "first_child", "links a node to itself or backwards")
    sibling = np.ones(nodes + 1, dtype=bool)
    sibling[first] = sibling[first + children] = False
    sibling[first + links] = sibling[first + links - (get["subs"] == 3)] = False
    if np.any((np.diff(get["byte"].astype(np.int64)) <= 0)[sibling[1:-1]]):
        raise _fail(path, prefix + "byte", "does not tell the children of a node apart")
    _check_programs(get, prefix, path)


def _check_programs(get: Arrays, prefix: str, path: str) -> None:
    ends, kinds = get["end_pattern"], get["end_kind"]
    is_filed = np.zeros(len(get["automaton"]), dtype=bool)
    is_filed[ends] = True
    if len(ends) != len(is_filed) or not np.all(is_filed):
        raise _fail(path, prefix + "end_pattern", "does not file every pattern once")
    pieces = get["program_start"].astype(np.int64)
    pieces_end = len(get["piece_start"]) - 1
    _check_offsets(get["program_start"], pieces_end, prefix + "program_start", path)
    if np.any(np.diff(pieces)[ends[kinds == 2]] == 0):
        raise _fail(path, prefix + "program_start", "leaves a pattern without pieces")
    lengths = np.diff(get["piece_start"].astype(np.int64))
    inner = np.ones(len(lengths), dtype=bool)
    filled = np.diff(pieces) > 0
    inner[pieces[:-1][filled]] = False
    inner[pieces[1:][filled] - 1] = False
    if np.any(lengths[inner] == 0):
        raise _fail(path, prefix + "piece_start", "has an empty piece between stars")
    if np.any(get["piece"][get["piece_start"][:-1][inner].astype(np.int64)] == 0xFF):
        raise _fail(path, prefix + "piece", "starts a piece between stars with a wildcard")
    if np.any(get["automaton"][ends[kinds == 3]] == NO_ID):
        raise _fail(path, prefix + "automaton", "leaves a pattern without an automaton")
    words = get["word_count"].astype(np.int64)
    rows = _MASK_ROWS + np.diff(get["symbol_start"].astype(np.int64))
    if np.any(words == 0) or np.any(np.diff(get["mask_start"].astype(np.int64)) != words * rows):
        raise _fail(path, prefix + "mask_start", "does not fit the automata")


def _check_links(arrays: Arrays, path: str) -> None:
    """Bounds that involve two arrays in a way a Rule cannot say."""
    counts = {
        "key_name": len(arrays["key_kind"]),
        "variable_default": len(arrays["variable_key"]),
        "action_text": len(arrays["action/automaton"]),
        "resource_text": len(arrays["resource/automaton"]),
        "statement_sid": len(arrays["statement_effect"]),
        "principal_entry_text": len(arrays["principal_entry_kind"]),
        "class_gap": len(arrays["class_is_open"]),
    }
    for prefix, of in (
        ("account_", "account_flags"), ("principal_", "principal_identity"),
        ("governed_", "governed_class"), ("endpoint_", "endpoint_class"),
    ):  # fmt: skip
        counts |= {
            name: len(arrays[of])
            for name in TEXTS
            if name.startswith(prefix) and name not in counts
        }
    counts["alias_id"] = counts["alias_key"] = len(arrays["alias_id_start"]) - 1
    sources = len(arrays["source_name_start"]) - 1
    counts |= {name: sources for name in TEXTS if name.startswith("source_")}
    if len(arrays["source_line"]) != sources:
        raise _fail(path, "source_line", "has the wrong length")
    for name, count in counts.items():
        if len(arrays[f"{name}_start"]) != count + 1:
            raise _fail(path, f"{name}_start", "has the wrong length")
    documents = arrays["statement_document"]
    if len(documents) and int(documents.max()) >= sources:
        raise _fail(path, "statement_document", "names a source that does not exist")
    if len(arrays["class_is_open"]) == 0:
        raise _fail(path, "class_is_open", "has no class of statements")
    if len(arrays["resource_set_negated"]) >= _MAX_SETS or np.any(
        np.diff(arrays["statement_predicate_start"].astype(np.int64)) > _MAX_TESTS
    ):
        raise _fail(path, "statement_predicate_start", "is larger than the kernels allow")


def _check_glyphs(arrays: Arrays, path: str) -> None:
    """Glyph sequences that exist, of tokens that the reader of each sequence knows."""
    token, argument = arrays["glyph_token"], arrays["glyph_argument"]
    is_point, is_variable = token == Token.POINT, token == Token.VARIABLE
    if _highest(argument[is_variable]) >= len(arrays["variable_key"]):
        raise _fail(path, "glyph_argument", "names a variable that does not exist")
    if _highest(argument[is_point]) > _LAST_POINT or np.any(argument[~(is_point | is_variable)]):
        raise _fail(path, "glyph_argument", "holds a number that is no code point")
    start = arrays["sequence_start"].astype(np.int64)
    resource, value = arrays["resource_sequence"], arrays["predicate_value"]
    if _highest(resource[resource != NO_ID]) >= len(start) - 1:
        raise _fail(path, "resource_sequence", "names a glyph sequence that does not exist")
    if _highest(value) >= len(start) - 1:
        raise _fail(path, "predicate_value", "names a glyph sequence that does not exist")
    value_count = _counts(arrays["predicate_value_start"])
    base = arrays["predicate_base"].repeat(value_count)
    for bases, strange, what in (
        (VARIABLE_BASES, is_variable, "a variable"),
        (GLOB_BASES, ~(is_point | is_variable), "a wildcard"),
    ):
        seen = np.concatenate(([0], np.cumsum(strange)))
        has_strange = seen[start[1:]] > seen[start[:-1]]
        takes = np.array([name in bases for name in BASES])
        if np.any(has_strange[value] & ~takes[base]):
            raise _fail(path, "predicate_value", f"has {what} where the operator takes none")


def _check_spans(arrays: Arrays, path: str) -> None:
    """Spans lie inside the text they point into; explanations show them."""
    start = arrays["source_text_start"].astype(np.int64)
    # as signed bytes, those that continue a code point are the lowest; there are few
    continued = np.flatnonzero(arrays["source_text"].view(np.int8) < -0x40)
    points = np.diff(start) - np.diff(np.searchsorted(continued, start))
    limits = points[arrays["statement_document"]]
    for name, starts, count in (
        ("statement_span", None, 5),
        ("action_entry_span", "action_entry_start", 1),
        ("resource_entry_span", "resource_entry_start", 1),
        ("predicate_entry_span", "predicate_entry_start", 1),
    ):
        repeats = count if starts is None else _counts(arrays[starts])
        spans = arrays[name].reshape(-1, 2)
        if np.any(spans[:, 0] > spans[:, 1]) or np.any(spans[:, 1] > limits.repeat(repeats)):
            raise _fail(path, name, "holds a span outside of its source")


def _counts(starts: Array) -> NDArray[np.int64]:
    """How many items each row has, of rows stored end to end."""
    wide = starts.astype(np.int64)
    return wide[1:] - wide[:-1]


def _highest(values: Array) -> int:
    return int(values.max()) if len(values) else -1
