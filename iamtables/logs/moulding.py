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
from .value_classes import ACCOUNT, arn_class, marked, marked_arn

Slots = Sequence[tuple[int, int, bool, bool]]
Map = Callable[[bytes, bytes], MappedCall]
"""(parameters, resources) -> the mapping of the call with these."""

_MARKER = "q7zq"
_MAX_TEXT = 60_000
_PARTS = re.compile(r"q7zq|9000000\d{5}|71377a71|4fed-8cba")
"""Of a marker: none of these may be left over."""


@dataclass(frozen=True, slots=True)
class Mould:
    """call    : the mapping of the call that it was learnt from
    program : how to make the text of the one resource (see Moulds.add); None when it is refused
    keys    : the keys whose values differ from call to call, by their number, with a program, or
              a list of them for a key of several values
    """

    call: MappedCall
    program: bytes | None
    keys: tuple[tuple[int, bytes | tuple[bytes, ...]], ...] = ()


MOST_NAMES = 1 << 15
"""ARNs but for their account whose classes are remembered, a few hundred bytes each."""


class ArnClasses:
    """Numbers of the classes of ARNs.

    tells_accounts : ARNs of different accounts are of different classes
    """

    def __init__(self, forms: ResourceForms, tells_accounts: bool) -> None:
        self._forms = forms
        self._tells_accounts = tells_accounts
        self._numbers: dict[Hashable, int] = {}
        self._of_any_account: dict[tuple[str, ...], Hashable | None] = {}

    def _class(self, arn: str) -> Hashable | None:
        """`arn_class`; the same names are often met in one account after the other."""
        fields = arn.split(":", 5)
        if len(fields) < 6 or not ACCOUNT.fullmatch(fields[4]) or self._forms.tell_accounts(
                fields[2]):
            return arn_class(arn, self._forms)
        key = (*fields[:4], fields[5])
        if key not in self._of_any_account:
            if len(self._of_any_account) >= MOST_NAMES:
                self._of_any_account.clear()
            self._of_any_account[key] = arn_class(arn, self._forms)
        return self._of_any_account[key]

    def number(self, arn: str) -> int:
        found = self._class(arn)
        if found is not None and self._tells_accounts:
            found = found, arn.split(":", 5)[4]
        return self._numbers.setdefault(arn if found is None else found, len(self._numbers))


def learn(map_call: Map, parameters: bytes, resources: bytes, slots: Slots,
          forms: ResourceForms, tells_accounts: bool = False) -> Mould:
    """The mould of a call with these slots. Raises BadRecord as the mapping does.

    tells_accounts : as for the classes of ARNs
    """
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
            mark = (marked_arn(text, _MARKER, len(by_text), forms, keeps_account=tells_accounts)
                    if is_arn else marked(whole, _MARKER, len(by_text)))
            if mark is None and not is_arn:
                return Mould(call, None)  # an ARN may be of its own class: it stays as it is
            if mark is None and arn_class(text, forms) is not None:
                return Mould(call, None)
            by_text[is_arn, text] = mark
        texts.append(text)
        marks.append(by_text[is_arn, text])
    try:
        other = map_call(_with(parameters, slots, marks, of_parameters=True),
                         _with(resources, slots, marks, of_parameters=False))
    except BadRecord:
        return Mould(call, None)
    return _compared(call, other, _Slots(texts, marks))


def _with(raw: bytes, slots: Slots, marks: list[str | None], *, of_parameters: bool
          ) -> bytes:
    """The JSON with the markers in their slots."""
    pieces: list[bytes] = []
    at = 0
    for (begin, length, _, is_parameter), mark in zip(slots, marks, strict=True):
        if is_parameter == of_parameters and mark is not None:
            pieces += (raw[at:begin], mark.encode())
            at = begin + length
    return b"".join((*pieces, raw[at:]))


class _Slots:
    """The texts in the slots and the markers in their place."""

    def __init__(self, texts: list[str], marks: list[str | None]) -> None:
        self._texts = texts
        self._slot_of = {mark: number for number, mark in reversed(list(enumerate(marks)))
                         if mark is not None}
        self._split = re.compile("(" + "|".join(
            re.escape(mark) for mark in sorted(self._slot_of, key=len, reverse=True)) + ")")
        self._parts = frozenset(part for mark in self._slot_of for part in _PARTS.findall(
            mark.lower()))

    def program(self, text: str, marked_text: str) -> bytes | None:
        """How a text is made, by the same text of the marked call; None when that is not clear."""
        pieces = self._split.split(marked_text) if self._slot_of else [marked_text]
        program, made = bytearray(), []
        for place, piece in enumerate(pieces):
            if place % 2:
                program.append(self._slot_of[piece])
                made.append(self._texts[self._slot_of[piece]])
            elif piece:
                if len(piece) > _MAX_TEXT or any(part in piece.lower() for part in self._parts):
                    return None  # the mapping took a text apart
                encoded = piece.encode()
                program += bytes((255, len(encoded) & 255, len(encoded) >> 8)) + encoded
                made.append(piece)
        return bytes(program) if "".join(made) == text else None


def _compared(call: MappedCall, other: MappedCall, slots: _Slots) -> Mould:
    refused = Mould(call, None)
    if len(other.members) != 1 or (
            call.record_class, call.reason, call.is_complete, call.outcome) != (
            other.record_class, other.reason, other.is_complete, other.outcome):
        return refused
    mine, its = call.members[0], other.members[0]
    if (mine.action, mine.state) != (its.action, its.state):
        return refused
    if (mine.resource is None) != (its.resource is None) or (mine.pattern is None) != (
            its.pattern is None) or (mine.resource is not None and mine.pattern is not None):
        return refused
    program: bytes | None = b""
    if (marked_text := _text_of(its)) is not None:
        program = slots.program(str(_text_of(mine)), marked_text)
    keys: list[tuple[int, bytes | tuple[bytes, ...]]] = []
    for number, (value, marked_value) in enumerate(zip(mine.keys, its.keys, strict=True)):
        if value == marked_value:
            continue
        if isinstance(value, str) and isinstance(marked_value, str):
            of_key = slots.program(value, marked_value)
            if of_key is None:
                return refused
            keys.append((number, of_key))
        elif isinstance(value, list) and isinstance(marked_value, list) and len(value) == len(
                marked_value):
            several = [slots.program(*pair) for pair in zip(value, marked_value, strict=True)]
            if None in several:
                return refused
            keys.append((number, tuple(one for one in several if one is not None)))
        else:
            return refused
    return Mould(call, program, tuple(keys)) if program is not None else refused


def _text_of(member: Member) -> str | None:
    return member.resource if member.resource is not None else member.pattern
