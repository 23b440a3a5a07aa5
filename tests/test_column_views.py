"""Arrow views (string_view) are read in place; whoever made them is not believed."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

import iamtables

POLICY = iamtables.parse_policy("""{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs/*"},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::*/secret"}]}""")
TABLE = iamtables.compile(POLICY)
SHORT, LONG = "*", "arn:aws:s3:::logs/a"


def view(text: str, block: int, begin: int) -> bytes:
    """A view; texts of up to 12 bytes lie in it."""
    data = text.encode()
    if len(data) <= 12:
        return struct.pack("<i12s", len(data), data)
    return struct.pack("<i4sii", len(data), data[:4], block, begin)


def views(entries: Sequence[bytes], *blocks: bytes, offset: int = 0, shift: int = 0) -> pa.Array:
    """An array whose views start `shift` bytes into their buffer."""
    data = pa.py_buffer(b"\0" * shift + b"".join(entries)).slice(shift)
    buffers = [None, data, *map(pa.py_buffer, blocks)]
    return pa.Array.from_buffers(pa.string_view(), len(entries) - offset, buffers, offset=offset)


def decisions(resources: pa.Array) -> list[int]:
    found: list[int] = TABLE.decide(action="s3:GetObject", resource=resources).decision.tolist()
    return found


def test_texts_of_every_length_are_read_from_view_and_block() -> None:
    texts = ["arn:aws:s3:::logs/"[: n] + "x" * max(0, n - 18) for n in range(40)] + [None, LONG]
    array = pa.array(texts, pa.string_view())
    expected = TABLE.decide(action="s3:GetObject", resource=texts)
    for given in (array, pa.concat_arrays([array, array]).slice(42), pa.chunked_array([array])):
        out = TABLE.decide(action="s3:GetObject", resource=given)
        assert out.decision.tolist() == expected.decision.tolist()
        assert out.error.tolist() == expected.error.tolist()
        assert [out.request(row).resource for row in range(42)] == texts
    assert expected.counts()["ALLOW"] == 23  # lengths 18 to 39, and LONG


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_views_over_several_blocks_at_any_address(shift: int) -> None:
    first, second = LONG.encode(), b"____arn:aws:s3:::x/secret"
    entries = [view(SHORT, 0, 0), view(LONG, 0, 0), view(second[4:].decode(), 1, 4)]
    assert decisions(views(entries, first, second, shift=shift)) == [0, 1, 2]
    assert decisions(views(entries, first, second, offset=1, shift=shift)) == [1, 2]


BROKEN = {
    "negative length": struct.pack("<i4sii", -1, b"arn:", 0, 0),
    "longer than its block": struct.pack("<i4sii", len(LONG) + 1, b"arn:", 0, 0),
    "begins too late": struct.pack("<i4sii", len(LONG), b"arn:", 0, 1),
    "begins before its block": struct.pack("<i4sii", len(LONG), b"arn:", 0, -1),
    "a block that is not there": struct.pack("<i4sii", len(LONG), b"arn:", 1, 0),
    "a negative block": struct.pack("<i4sii", len(LONG), b"arn:", -1, 0),
    "as long as can be": struct.pack("<i4sii", 2**31 - 1, b"arn:", 0, 2**31 - 1),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("role", ["action", "resource"])
def test_a_view_that_leads_out_of_its_block_is_refused(role: str, name: str) -> None:
    array = views([view(LONG, 0, 0), BROKEN[name]], LONG.encode())
    columns = {"action": "s3:GetObject", "resource": LONG, role: array}
    with pytest.raises(iamtables.ColumnError, match=f"`{role}` is broken in row 1"):
        TABLE.decide(**columns)  # type: ignore[arg-type]


def test_what_lies_below_a_null_may_be_anything() -> None:
    data = pa.py_buffer(b"".join([BROKEN["a negative block"], view(LONG, 0, 0)]))
    valid = pa.py_buffer(np.array([0b10], dtype=np.uint8))
    array = pa.Array.from_buffers(pa.string_view(), 2, [valid, data, pa.py_buffer(LONG.encode())])
    assert decisions(array) == [iamtables.DecisionCode.UNDETERMINED, 1]
