"""JSON text as it is written: every key, and every number digit by digit.

GRAM-1, GRAM-2 and GRAM-5. The standard parser does the work; its hooks keep what it would lose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .foundations import DocumentFault, note


@dataclass(frozen=True)
class Number:
    """A JSON number as it is written (GRAM-5)."""

    lexeme: str


def scalar_text(value: object) -> str | None:
    """A string, number or boolean as text (GRAM-5); None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.lexeme
    if isinstance(value, int):
        return format(Decimal(value), "f")  # no limit on the number of digits, unlike str()
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return repr(value) if isinstance(value, float) else str(value)
    return None


def load(policy: object, rules: set[str] | None = None) -> dict[str, Any]:
    """The top-level object of a policy given as JSON text or already parsed.

    Raises DocumentFault if there is none.
    """
    if isinstance(policy, str):
        policy = _parse_json(policy, rules)
    if not isinstance(policy, Mapping):
        note(rules, "GRAM-1")
        raise DocumentFault("the top level of a policy is an object")
    return dict(policy)


def _parse_json(text: str, rules: set[str] | None) -> object:
    def keep_last(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) < len(pairs):
            note(rules, "GRAM-2")
        return dict(pairs)  # GRAM-2: the last occurrence wins

    def refuse(constant: str) -> object:
        raise DocumentFault(f"`{constant}` is not JSON")

    try:
        return json.loads(
            text,
            object_pairs_hook=keep_last,
            parse_int=Number,
            parse_float=Number,
            parse_constant=refuse,
        )
    except RecursionError:
        note(rules, "GRAM-1")
        raise DocumentFault("the policy is nested too deeply") from None
    except ValueError as fault:
        note(rules, "GRAM-1")
        raise DocumentFault(f"the policy is not JSON: {fault}") from fault
