"""What all calls of one mould have in common, learnt from one of them.

A mould (`moulds`) is a call with slots in place of the texts that the mapping cannot tell apart
(`value_classes`). The call is mapped as it is, and once more with a marker in each slot. Where the
markers turn up in the resource, there the texts of other calls go. A mould is refused, and its
calls are mapped one by one, unless the two mappings are the same but for the markers, a marker is
found whole wherever a part of it is, and the actual texts in their place give the actual resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from .calls import MappedCall, Member
from .records import BadRecord
from .resources import ResourceForms
from .value_classes import arn_class, marked, marked_arn

Slots = Sequence[tuple[int, int, bool, bool]]
Map = Callable[[bytes, bytes], MappedCall]
"""(parameters, resources) -> the mapping of the call with these."""

_MARKER = "q7zq"
_MAX_TEXT = 60_000


@dataclass(frozen=True, slots=True)
class Mould:
    """call    : the mapping of the call that it was learnt from
    program : how to make the text of the one resource (see Moulds.fill); None when it is refused
    """

    call: MappedCall
    program: bytes | None


class ArnClasses:
    """Numbers of the classes of ARNs."""

    def __init__(self, forms: ResourceForms) -> None:
        self._forms = forms
        self._numbers: dict[Hashable, int] = {}

    def number(self, arn: str) -> int:
        found = arn_class(arn, self._forms)
        return self._numbers.setdefault(arn if found is None else found, len(self._numbers))


def learn(map_call: Map, parameters: bytes, resources: bytes, slots: Slots,
          forms: ResourceForms) -> Mould:
    """The mould of a call with these slots. Raises BadRecord as the mapping does."""
    call = map_call(parameters, resources)
    if len(call.members) != 1 or _MARKER in (parameters + resources).decode("ascii").lower():
        return Mould(call, None)
    texts: list[str] = []
    marks: list[str | None] = []
    by_text: dict[tuple[bool, str], str | None] = {}
    for begin, length, is_arn, is_parameter in slots:
        raw = parameters if is_parameter else resources
        whole = raw[raw.rindex(b'"', 0, begin) + 1 : begin + length].decode("ascii")
        text = raw[begin : begin + length].decode("ascii")
        if (is_arn, text) not in by_text:
            mark = (marked_arn(text, _MARKER, len(by_text), forms) if is_arn
                    else marked(whole, _MARKER, len(by_text)))
            if mark is None and not is_arn:
                return Mould(call, None)  # an ARN may be of its own class: it stays as it is
            if mark is None and arn_class(text, forms) is not None:
                return Mould(call, None)
            by_text[is_arn, text] = mark
        texts.append(text)
        marks.append(by_text[is_arn, text])
    try:
        other = map_call(_with(parameters, slots, marks, True), _with(resources, slots, marks, False))
    except BadRecord:
        return Mould(call, None)
    return Mould(call, _program(call, other, texts, marks))


def _with(raw: bytes, slots: Slots, marks: list[str | None], of_parameters: bool) -> bytes:
    """The JSON with the markers in their slots."""
    pieces: list[bytes] = []
    at = 0
    for (begin, length, _, is_parameter), mark in zip(slots, marks, strict=True):
        if is_parameter == of_parameters and mark is not None:
            pieces += (raw[at:begin], mark.encode())
            at = begin + length
    return b"".join((*pieces, raw[at:]))


def _program(call: MappedCall, other: MappedCall, texts: list[str], marks: list[str | None]
             ) -> bytes | None:
    if (call.record_class, call.reason, call.is_complete, call.outcome) != (
            other.record_class, other.reason, other.is_complete, other.outcome):
        return None
    if len(other.members) != 1:
        return None
    mine, its = call.members[0], other.members[0]
    if (mine.action, mine.state, mine.keys) != (its.action, its.state, its.keys):
        return None
    if (mine.resource is None) != (its.resource is None) or (mine.pattern is None) != (
            its.pattern is None) or (mine.resource is not None and mine.pattern is not None):
        return None
    marker_text = _text_of(its)
    if marker_text is None:
        return b""
    slot_of = {mark: number for number, mark in reversed(list(enumerate(marks)))
               if mark is not None}
    if not slot_of:
        pieces = [marker_text]
    else:
        pieces = re.split("(" + "|".join(
            re.escape(mark) for mark in sorted(slot_of, key=len, reverse=True)) + ")", marker_text)
    program, made = bytearray(), []
    parts = [part for mark in slot_of for part in re.findall(r"q7zq|\d{12}|71377a71|4fed-8cba",
                                                             mark.lower())]
    for place, piece in enumerate(pieces):
        if place % 2:
            program.append(slot_of[piece])
            made.append(texts[slot_of[piece]])
        elif piece:
            if any(part in piece.lower() for part in parts) or len(piece) > _MAX_TEXT:
                return None  # the mapping took a text apart
            program += bytes((255, len(piece) & 255, len(piece) >> 8)) + piece.encode()
            made.append(piece)
    return bytes(program) if "".join(made) == _text_of(mine) else None


def _text_of(member: Member) -> str | None:
    return member.resource if member.resource is not None else member.pattern
