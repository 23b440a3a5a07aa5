"""Globs: `*`, `?` and ordinary characters, nothing else (GLOB-1).

A pattern is a list of items, one for each character of it. Whether a wildcard may match a colon
is said by the item, because that differs between the elements of a policy (RES-3, RES-4, COND-61).
Matching keeps the set of places in the text up to which the items so far match, so it is linear in
the product of the two lengths whatever the pattern (GLOB-5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .foundations import note


class Character(NamedTuple):
    """This character and no other, also when it is a `*` that stands for itself."""

    character: str


class Question(NamedTuple):
    """`?`: exactly one code point."""

    crosses_colon: bool = True


class Star(NamedTuple):
    """`*`: zero or more code points."""

    crosses_colon: bool = True


Item = Character | Question | Star


def characters(text: str) -> list[Item]:
    """`text` as items that stand for themselves."""
    return [Character(c) for c in text]


def wildcards(text: str) -> list[Item]:
    """`text` as a pattern in which every `*` and `?` is a wildcard."""
    items: list[Item] = []
    for c in text:
        items.append(Star() if c == "*" else Question() if c == "?" else Character(c))
    return items


def is_all_stars(text: str) -> bool:
    """Whether `text` is `*`, `**` and so on (GLOB-4)."""
    return text != "" and set(text) == {"*"}


def canonical_runs(items: Sequence[Item], rules: set[str] | None = None) -> list[Item]:
    """The same pattern with each run of wildcards as `?...?*`, at most one star (GLOB-4)."""
    canonical: list[Item] = []
    run: list[Item] = []
    for item in [*items, None]:
        if isinstance(item, Question | Star):
            run.append(item)
            continue
        stars = [wildcard for wildcard in run if isinstance(wildcard, Star)]
        if len(run) > 1 and stars:
            note(rules, "GLOB-4")
        canonical += [wildcard for wildcard in run if isinstance(wildcard, Question)]
        canonical += stars[:1]
        run = []
        if item is not None:
            canonical.append(item)
    return canonical


def glob_matches(items: Sequence[Item], text: str, rules: set[str] | None = None) -> bool:
    """Whether the whole of `text` matches the pattern."""
    has_wildcard = any(not isinstance(item, Character) for item in items)
    note(rules, "GLOB-1" if has_wildcard else "GLOB-2")
    if has_wildcard and any(ord(c) > 0x7F or c in "\r\n" for c in text):
        note(rules, "GLOB-3")
    # The items so far match text[:i] for each i of `ends`.        GLOB-2: from the start ...
    ends = {0}
    for item in items:
        # GLOB-3: one code point at a time
        if isinstance(item, Star):
            following = set(ends)
            for i in ends:
                while i < len(text) and i + 1 not in following and (
                    item.crosses_colon or text[i] != ":"
                ):
                    i += 1
                    following.add(i)
        elif isinstance(item, Question):
            following = {i + 1 for i in ends
                         if i < len(text) and (item.crosses_colon or text[i] != ":")}
        else:
            following = {i + 1 for i in ends if i < len(text) and text[i] == item.character}
        ends = following
    return len(text) in ends  # GLOB-2: ... to the end
