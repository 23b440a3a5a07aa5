"""A memo for functions of short texts.

Real policies repeat their actions and ARNs, so what follows from a text alone is worked out once.
Long texts are not kept: with a bound on their number and on their length the memory has a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

MEMO_TEXTS = 1 << 15
MEMO_CHARACTERS = 512

Answer = TypeVar("Answer")


class Memo(dict[str, Answer]):
    """`memo[text]` is what `function` says of a text; it remembers up to MEMO_TEXTS texts of up to
    MEMO_CHARACTERS, and begins anew when it is full. A look-up costs no call in Python."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[str], Answer]) -> None:
        self._function = function

    def __missing__(self, text: str) -> Answer:
        answer = self._function(text)
        if len(text) <= MEMO_CHARACTERS:
            if len(self) >= MEMO_TEXTS:
                self.clear()
            self[text] = answer
        return answer
