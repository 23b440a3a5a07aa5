"""Whether sessions of a role may carry tags of their own, which hide the tags of the role."""

from __future__ import annotations

import numpy as np

from ..grammar import parse_pattern
from ..grammar.tree import Question, Run, Star, StatementNode
from ..runtime.codes import Token
from ..runtime.globs import match_tokens
from .organization import PolicySet

_TAG_SESSION = "sts:tagsession"


def may_tag_session(trust: PolicySet) -> bool:
    """Could anything in the trust policy allow `sts:TagSession`? Without it nobody can give a
    session tags (EVAL-40). What cannot be read, and what is missing, could."""
    return bool(trust.gaps) or any(
        document.is_faulty or document.is_unreadable or any(map(_may_allow, document.statements))
        for document in trust.documents
    )


def _may_allow(statement: StatementNode) -> bool:
    if statement.effect == "Deny":
        return False
    action = statement.action
    if action is None or statement.faults & {"action", "statement"}:
        return True
    is_named = any(
        index not in action.void and _matches(entry.value.lower())
        for index, entry in enumerate(action.entries)
    )
    return is_named != action.negated


def _matches(pattern: str) -> bool:
    """Does an action pattern match `sts:TagSession` (ACT-1)?"""
    kinds: list[int] = []
    points: list[int] = []
    for token in parse_pattern(pattern, variables=False):
        if isinstance(token, Run):
            kinds += [Token.POINT] * len(token.text)
            points += map(ord, token.text)
        else:
            assert isinstance(token, Star | Question)
            kinds.append(Token.STAR if isinstance(token, Star) else Token.ANY)
            points.append(0)
    return bool(
        match_tokens(
            np.array(kinds, dtype=np.uint8), np.array(points, dtype=np.uint32), _TAG_SESSION
        )
    )
