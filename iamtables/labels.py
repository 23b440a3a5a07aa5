"""Statements by name, as tables of results and reports show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runtime import StatementInfo


def statement_label(statement: StatementInfo) -> str:
    """`AmazonBedrockFullAccess:BedrockAll`, the policy's file name and the Sid (or the number);
    with the line, `authorization-details:BedrockAll@120`, in a file that holds many policies."""
    policy = Path(statement.policy).name.removesuffix(".json") or statement.policy
    label = f"{policy}:{statement.sid or f'#{statement.index + 1}'}"
    return f"{label}@{statement.location.line}" if statement.is_in_collection else label
