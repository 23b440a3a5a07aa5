"""A memo for functions of short texts.

Real policies repeat their actions and ARNs, so what follows from a text alone is worked out once.
Long texts are not kept: with a bound on their number and on their length the memory has a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

MEMO_TEXTS = 1 << 15
MEMO_CHARACTERS = 512

P = ParamSpec("P")
Answer = TypeVar("Answer")


def remembered(
    function: Callable[Concatenate[str, P], Answer],
) -> Callable[Concatenate[str, P], Answer]:
    """`function`, with its answers for the last MEMO_TEXTS texts of up to MEMO_CHARACTERS."""
    memo = cast(Callable[Concatenate[str, P], Answer], lru_cache(maxsize=MEMO_TEXTS)(function))

    @wraps(function)
    def answer(text: str, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        if len(text) > MEMO_CHARACTERS:
            return function(text, *args, **kwargs)
        return memo(text, *args, **kwargs)

    return answer
