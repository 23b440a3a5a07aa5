"""The words that a text must hold for a pattern to match: a filter before verification.

A word is a `:` or `/` and the three bytes behind it; ARNs start their parts with them. Each word is
hashed to one of 64 bits. What a pattern asks for, every text that it matches has, so a bit that is
missing in the text's signature settles the pattern without a look at it. Most patterns that share
their literal head (`arn:aws:sagemaker:*:*:endpoint/*`) differ in a word.

`runtime/globs.pyx` takes the signature of texts; the two must agree on `word_bit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..runtime.codes import Token
from .automaton import Element, encode_points

WORD_BYTES = 4
_SEPARATORS = b":/"


def word_bit(word: bytes) -> int:
    """The bit, 0..63, of a word of four bytes."""
    return int.from_bytes(word, "little") * 0x9E3779B1 % (1 << 32) >> 26


def required_words(rest: Sequence[Element]) -> int:
    """Signature of the words in the literal runs of a pattern, its head left out."""
    signature = 0
    for run in _literal_runs(rest):
        for at in range(len(run) - WORD_BYTES + 1):
            if run[at] in _SEPARATORS:
                signature |= 1 << word_bit(run[at : at + WORD_BYTES])
    return signature


def _literal_runs(rest: Sequence[Element]) -> Iterable[bytes]:
    points: list[int] = []
    for token, point in rest:
        if token is Token.POINT:
            points.append(point)
        elif points:
            yield encode_points(points)
            points = []
    yield encode_points(points)
