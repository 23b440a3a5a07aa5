"""Full ARNs of IAM things that a record calls by their bare name.

`iam:GetRole` gives `roleName`, a session ARN the name of its role; both leave out the path, and
policies are matched against the whole ARN. IAM keeps such names unique within an account, so
another place that has the ARN tells the path: an inventory (`resolver`), or the log itself (the
issuer of a session, a creation). What the log tells is dropped again, for good, when it tells two
different paths for one name: the thing was deleted and made anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .texts import GrowingTexts

Resolver = Callable[[str, str, str], "str | None"]
"""(kind, account, name) -> ARN. kind: `role`, `user`, `group`, `instance-profile`, ... as in ARNs;
None when it is not known."""

_KINDS = frozenset({"role", "user", "group", "instance-profile", "policy", "mfa",
                    "server-certificate"})
_MAX_NAMES = 1_000_000
_LONGEST_PATH = 200
"""Of ARNs up to their last `/`: names are many, these are few, so that they are remembered."""


def pattern_of(arn: str) -> str | None:
    """`arn:aws:iam::1:role/*N` for `arn:aws:iam::1:role/path/N`; None for other ARNs."""
    path, slash, name = arn.rpartition("/")
    if not slash:
        return None
    if len(path) > _LONGEST_PATH:
        return _pattern_of(arn)
    beginning = _beginning_of(path)
    return None if beginning is None else beginning + name


@lru_cache(maxsize=4096)
def _beginning_of(path: str) -> str | None:
    """What the patterns of all ARNs begin with that are this up to their last `/`."""
    return _pattern_of(f"{path}/")


def _pattern_of(arn: str) -> str | None:
    head, _, rest = arn.partition(":iam::")
    account, _, named = rest.partition(":")
    kind, slash, path = named.partition("/")
    if not slash or not head.startswith("arn:") or kind not in _KINDS or len(account) != 12:
        return None
    return f"{head}:iam::{account}:{kind}/*{path.rpartition('/')[2]}"


def may_name(pattern: str) -> bool:
    """Can a pattern be one that `pattern_of` makes? Others stand for no name."""
    return ":iam::" in pattern


def nameable(values: Sequence[Any], codes: NDArray[np.int64]) -> list[tuple[int, str]]:
    """(code, text) of those patterns among a dictionary's values that may stand for a name. Most
    do not: of texts in place, these are never made."""
    if not isinstance(values, GrowingTexts):
        return [(code, str(values[code])) for code in codes.tolist() if may_name(str(values[code]))]
    texts = values.take(codes)
    starts = [found.start() for found in re.finditer(b":iam::", texts.data.tobytes())]
    at = np.unique(np.searchsorted(texts.offsets, starts, side="right") - 1)
    return list(zip(codes[at].tolist(), texts.take(at), strict=True))


def pattern_of_session(arn: str) -> str | None:
    """The pattern of the role behind `arn:P:sts::A:assumed-role/NAME/SESSION`."""
    head, _, rest = arn.partition(":sts::")
    account, _, named = rest.partition(":assumed-role/")
    name, slash, _ = named.partition("/")
    if not slash or not name or len(account) != 12:
        return None
    return f"{head}:iam::{account}:role/*{name}"


class Names:
    """What is known of names; bounded."""

    def __init__(self, resolver: Resolver | None = None, *, learns: bool = True) -> None:
        self._resolver = resolver
        self._learns = learns
        self._known: dict[str, str | None] = {}
        self._taken: set[str] = set()
        self.changed: list[str] = []
        """The patterns that came to stand for something else, each up to twice."""

    @property
    def has_resolver(self) -> bool:
        """Can patterns stand for names that no record has told?"""
        return self._resolver is not None

    @property
    def version(self) -> int:
        """Changes whenever a pattern comes to stand for something else."""
        return len(self.changed)

    def learn(self, arn: str) -> None:
        """Take note of an ARN that the log gives in full."""
        if not self._learns or arn in self._taken:
            return
        if len(self._taken) < _MAX_NAMES:
            self._taken.add(arn)
        if (pattern := pattern_of(arn)) is not None:
            self.learn_all([(0, pattern, arn)])

    def learn_all(self, told: Iterable[tuple[int, str, str]]) -> None:
        """Take note of what `news` gave."""
        known, changed = self._known, self.changed
        for _, pattern, arn in told:
            if pattern not in known:
                if len(known) < _MAX_NAMES:
                    known[pattern] = arn
                    changed.append(pattern)
            elif known[pattern] not in (arn, None):
                known[pattern] = None
                changed.append(pattern)

    def news(self, arns: Iterable[tuple[int, str]]) -> list[tuple[int, str, str]]:
        """Of ARNs with their rows those that change what their pattern means when they are learnt:
        (row, pattern, ARN)."""
        if not self._learns:
            return []
        taken, known_as = self._taken, self._known.get
        return [(row, pattern, arn) for row, arn in arns if arn not in taken
                and (pattern := pattern_of(arn)) is not None
                and (known := known_as(pattern, "")) is not None and known != arn]

    def is_news(self, pattern: str, arn: str) -> bool:
        """Does the meaning of a pattern change when this ARN of it is learnt?"""
        known = self._known.get(pattern, "")
        return known is not None and known != arn

    def arns(self, patterns: Iterable[str]) -> list[str | None]:
        """`arn` of each."""
        return list(map(self._known.get if self._resolver is None else self.arn, patterns))

    def arn(self, pattern: str) -> str | None:
        """The one ARN that a pattern made by `pattern_of` stands for, if it is known."""
        if self._resolver is not None and may_name(pattern):
            _, _, _, _, account, named = pattern.split(":", 5)
            kind, _, name = named.partition("/*")
            if kind in _KINDS and (found := self._resolver(kind, account, name)) is not None:
                return found
        return self._known.get(pattern)
