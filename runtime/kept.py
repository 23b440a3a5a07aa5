"""Answers that a table keeps: what one session asked, the next need not ask again.

Most of what an engine asks of Python hangs on the policies and on a few texts: who a principal is,
whose a resource, what a condition says of a value. A session forgets it all when it is closed, the
table does not. Answers are found by texts, never by numbers, which belong to one engine.

How many there are is bounded, and how long a text among them may be, so that hostile columns cost a
table no more than a few megabytes. Under a bound nothing is chosen: all are dropped and asked anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

LONGEST_KEPT = 2048
"""Bytes of a text, above which an answer is not kept; an ARN has fewer."""

Asked = TypeVar("Asked", bound=tuple[object, ...])
Answer = TypeVar("Answer")


class Kept(dict[Asked, Answer], Generic[Asked, Answer]):
    """Answers by what was asked, worked out when first asked for. Safe between threads.

    answer : works one out; where it raises, nothing is kept
    most   : answers that are kept at the same time
    """

    __slots__ = ("_answer", "_most")

    def __init__(self, answer: Callable[..., Answer], most: int) -> None:
        super().__init__()
        self._answer = answer
        self._most = most

    def __missing__(self, asked: Asked) -> Answer:
        found = self._answer(*asked)
        if is_keepable(asked):
            if len(self) >= self._most:
                self.clear()
            self[asked] = found
        return found


def is_keepable(asked: tuple[object, ...]) -> bool:
    """Whether no text of a question is longer than what is kept."""
    for part in asked:  # noqa: SIM110 - a generator takes three times as long
        if isinstance(part, bytes) and len(part) > LONGEST_KEPT:
            return False
    return True
