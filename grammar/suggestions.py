"""The known word that somebody most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LENGTH_LIMIT = 60


def closest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word`, or "" if none is near. Case counts for nothing."""
    if len(word) > _LENGTH_LIMIT:
        return ""
    lowered = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.7)
    return lowered[found[0]] if found else ""
