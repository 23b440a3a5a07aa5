"""IR to tables: the arrays of runtime/schema.py, the same bytes for the same input."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence, Sized
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.codes import BASE_CODE, NO_ID, WILD_BYTE, Token
from ..runtime.model import TableModel
from ..runtime.values import encode_text
from . import ir
from .encoding import as_glob, decode_elements
from .frames import CarrierRow, Frame
from .parts import PatternSets, ResourcePatterns, Statements
from .trie import compile_joined

Arrays = dict[str, NDArray[Any]]

_STAR, _VARIABLE = bytes([WILD_BYTE + Token.STAR]), bytes([WILD_BYTE + Token.VARIABLE])


def build_model(program: ir.Program, frame: Frame) -> TableModel:
    """All arrays of a program, as lowering and the passes give it, and of where its documents
    stand."""
    patterns, statements = program.resource_patterns, program.statements
    assert isinstance(patterns, ResourcePatterns) and isinstance(statements, Statements)
    arrays: Arrays = {}
    glyphs = _GlyphStore()
    actions = [text for (text,) in program.action_patterns]
    letters, start = _encoded(actions)
    _put_globs(arrays, "action/", as_glob(letters), start)
    _put_globs(arrays, "resource/", patterns.encoded.replace(_VARIABLE, _STAR), patterns.start)
    _put_texts(arrays, "action_text", actions)
    arrays["resource_text"] = patterns.spelled
    arrays["resource_text_start"] = patterns.spelled_start
    arrays["resource_is_all"] = patterns.is_all
    sequence = np.full(len(patterns), NO_ID, dtype=np.uint32)
    for number in sorted(patterns.variables):
        sequence[number] = glyphs.sequence(patterns[number].glyphs)
    arrays["resource_sequence"] = sequence
    _put_sets(arrays, "action_set", program.action_sets)
    _put_sets(arrays, "resource_set", program.resource_sets)
    _put_predicates(arrays, program.predicates, glyphs)
    _put_texts(arrays, "key_name", [k.name for k in program.keys])
    arrays["key_kind"] = _bytes(k.kind for k in program.keys)
    glyphs.put(arrays)
    arrays |= statements.arrays
    _put_sources(arrays, program.documents)
    _put_principals(arrays, program.principals)
    _put_frame(arrays, frame, statements.arrays["statement_document"])
    return TableModel(arrays, {"options": program.options.to_mapping(), "frame": frame.meta})


def _bytes(values: Iterable[int]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes(values), dtype=np.uint8)


def _words(values: Iterable[int]) -> NDArray[np.uint32]:
    return np.frombuffer(array("I", values), dtype=np.uint32)  # a third of np.fromiter's time


def _ids(values: Iterable[int]) -> NDArray[np.uint32]:
    """Ids, NO_ID in place of -1."""
    return np.fromiter(values, dtype=np.int32).view(np.uint32)


def _starts(rows: Iterable[Sized]) -> NDArray[np.uint32]:
    """Where each row begins when they stand end to end, and where the last one ends."""
    return _words(accumulate(map(len, rows), initial=0))


def _put_rows(arrays: Arrays, start: str, items: str, rows: Sequence[Sequence[int]]) -> None:
    arrays[start] = _starts(rows)
    arrays[items] = _ids(chain.from_iterable(rows))


def _put_texts(arrays: Arrays, name: str, texts: Sequence[str]) -> None:
    letters, arrays[f"{name}_start"] = _encoded(texts)
    arrays[name] = np.frombuffer(letters, dtype=np.uint8)


def _encoded(texts: Sequence[str]) -> tuple[bytes, NDArray[np.uint32]]:
    """Texts end to end, where each begins and the last one ends."""
    joined = "".join(texts)
    if joined.isascii():
        return joined.encode("ascii"), _starts(texts)
    encoded = [encode_text(text) for text in texts]
    return b"".join(encoded), _starts(encoded)


def _put_globs(
    arrays: Arrays, prefix: str, encoded: bytes, start: NDArray[np.uint32]
) -> None:
    for name, column in compile_joined(encoded, start).items():
        arrays[prefix + name] = column


class _GlyphStore:
    """Glyph sequences of variable patterns and predicate values, equal ones stored once."""

    def __init__(self) -> None:
        self._sequences: dict[ir.Glyphs, int] = {}
        self._variables: dict[ir.Variable, int] = {}

    def sequence(self, glyphs: ir.Glyphs) -> int:
        for variable in glyphs.variables:
            self._variables.setdefault(variable, len(self._variables))
        return self._sequences.setdefault(glyphs, len(self._sequences))

    def put(self, arrays: Arrays) -> None:
        tokens: list[int] = []
        arguments: list[int] = []
        offsets = [0]
        for glyphs in self._sequences:
            if glyphs.encoded.isascii():  # code points, and no wildcard among them
                tokens += bytes(len(glyphs.encoded))
                arguments += glyphs.encoded
                offsets.append(len(tokens))
                continue
            variables = iter(glyphs.variables)
            for token, point in decode_elements(glyphs.encoded):
                tokens.append(token)
                arguments.append(
                    self._variables[next(variables)] if token is Token.VARIABLE else point)
            offsets.append(len(tokens))
        arrays["sequence_start"] = _words(offsets)
        arrays["glyph_token"] = _bytes(tokens)
        arrays["glyph_argument"] = _words(arguments)
        arrays["variable_key"] = _words(
            NO_ID if v.key_id < 0 else v.key_id for v in self._variables
        )
        arrays["variable_has_default"] = _bytes(v.default is not None for v in self._variables)
        _put_texts(arrays, "variable_default", [v.default or "" for v in self._variables])


def _put_sets(arrays: Arrays, name: str, sets: Sequence[ir.PatternSet]) -> None:
    assert isinstance(sets, PatternSets)
    arrays[f"{name}_negated"] = sets.negated
    arrays[f"{name}_start"] = sets.start
    arrays[f"{name}_pattern"] = sets.pattern


def _put_predicates(
    arrays: Arrays, predicates: Sequence[ir.Predicate], glyphs: _GlyphStore
) -> None:
    arrays["predicate_set_operator"] = _bytes(p.set_operator for p in predicates)
    arrays["predicate_base"] = _bytes(BASE_CODE[p.base] for p in predicates)
    arrays["predicate_if_exists"] = _bytes(p.if_exists for p in predicates)
    arrays["predicate_key"] = _words(p.key_id for p in predicates)
    rows = [[glyphs.sequence(value) for value in p.values] for p in predicates]
    _put_rows(arrays, "predicate_value_start", "predicate_value", rows)


def _put_principals(arrays: Arrays, elements: Sequence[ir.PrincipalElement]) -> None:
    entries = [entry for element in elements for entry in element.entries]
    arrays["principal_element_flags"] = _bytes(element.flags for element in elements)
    arrays["principal_entry_start"] = _starts([element.entries for element in elements])
    arrays["principal_entry_kind"] = _bytes(kind for kind, _ in entries)
    _put_texts(arrays, "principal_entry_text", [text for _, text in entries])


def _put_frame(arrays: Arrays, frame: Frame, document_of: NDArray[np.uint32]) -> None:
    """Classes of statements, and who carries them (compiler/frames.py).

    document_of : the document of each statement, ascending
    """
    count = np.bincount(document_of, minlength=len(frame.documents))
    first = np.cumsum(count) - count
    held = [documents for documents, _ in frame.classes]
    documents = np.fromiter(chain.from_iterable(held), dtype=np.int64)
    end = np.cumsum(count[documents])
    statements = np.repeat(first[documents] - end + count[documents], count[documents])
    statements += np.arange(len(statements))
    start = np.concatenate(([0], end))[_starts(held)]
    arrays["class_start"] = start.astype(np.uint32)
    arrays["class_statement"] = statements.astype(np.uint32)
    arrays["class_is_open"] = _bytes(bool(gaps) for _, gaps in frame.classes)
    _put_texts(arrays, "class_gap", ["\n".join(gaps) for _, gaps in frame.classes])
    arrays["place_role"] = _bytes(role for role, _ in frame.places)
    arrays["place_class"] = _words(class_id for _, class_id in frame.places)
    accounts = frame.accounts
    arrays["account_flags"] = _bytes(a.flags for a in accounts)
    _put_texts(arrays, "account_id", [a.id for a in accounts])
    _put_texts(arrays, "account_org_id", [a.org_id for a in accounts])
    _put_texts(arrays, "account_org_path", [a.org_path for a in accounts])
    _put_texts(arrays, "account_gap", ["\n".join(a.gaps) for a in accounts])
    _put_texts(arrays, "account_services", [a.services for a in accounts])
    _put_rows(arrays, "account_scp_start", "account_scp", [a.scps for a in accounts])
    _put_rows(arrays, "account_rcp_start", "account_rcp", [a.rcps for a in accounts])
    principals = frame.principals
    arrays["principal_identity"] = _words(p.identity for p in principals)
    arrays["principal_boundary"] = _words(
        NO_ID if p.boundary < 0 else p.boundary for p in principals
    )
    arrays["principal_has_session_tags"] = _bytes(p.has_session_tags for p in principals)
    _put_texts(arrays, "principal_arn", [p.arn for p in principals])
    _put_texts(arrays, "principal_unique_id", [p.unique_id for p in principals])
    _put_texts(arrays, "principal_tags", [p.tags for p in principals])
    _put_texts(arrays, "alias_id", [alias for alias, _ in frame.aliases])
    _put_texts(arrays, "alias_key", [key for _, key in frame.aliases])
    _put_carriers(arrays, "governed", frame.resource_policies)
    _put_texts(arrays, "governed_tags", [c.tags for c in frame.resource_policies])
    _put_carriers(arrays, "endpoint", frame.endpoints)
    _put_texts(arrays, "endpoint_vpc", [c.place for c in frame.endpoints])


def _put_carriers(arrays: Arrays, name: str, carriers: Sequence[CarrierRow]) -> None:
    arrays[f"{name}_class"] = _words(c.class_id for c in carriers)
    _put_texts(arrays, f"{name}_id", [c.id for c in carriers])
    _put_texts(arrays, f"{name}_account", [c.account for c in carriers])


def _put_sources(arrays: Arrays, documents: Sequence[ir.Document]) -> None:
    texts = [document.source.text for document in documents]
    _put_texts(arrays, "source_name", [document.source.name for document in documents])
    _put_texts(arrays, "source_text", texts)
    arrays["source_line"] = _words(document.source.line for document in documents)
    arrays["source_column"] = _words(document.source.column for document in documents)
    _put_texts(arrays, "source_date", [document.source.date for document in documents])
    _put_texts(arrays, "source_version", [document.version for document in documents])
    _put_texts(arrays, "source_sha256",
               [hashlib.sha256(encode_text(text)).hexdigest() for text in texts])  # fmt: skip
