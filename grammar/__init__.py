"""Text -> syntax tree: policy documents, patterns with policy variables, and ARNs.

    parse_policy(text)   one document; spans on every node, diagnostics with codes
    load_policy(path)    documents from files, directories and what AWS tools print
    parse_pattern(text)  runs, `*`, `?` and `${variables}`
    split_arn(tokens)    the segments of an ARN pattern

The languages are the `.lark` files of this folder. Lark is imported when something is parsed, not
before; the names below are resolved when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .parser import MAX_CHARACTERS, parse_policy
    from .patterns import parse_pattern, split_arn
    from .sources import load_policy
    from .tree import PolicyDocument

_HOME = {
    "MAX_CHARACTERS": ".parser",
    "PolicyDocument": ".tree",
    "load_policy": ".sources",
    "parse_pattern": ".patterns",
    "parse_policy": ".parser",
    "split_arn": ".patterns",
}

__all__ = [
    "MAX_CHARACTERS",
    "PolicyDocument",
    "load_policy",
    "parse_pattern",
    "parse_policy",
    "split_arn",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
