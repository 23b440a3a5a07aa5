"""What the segments of a cache have in common, found out once a log.

Each segment brings its principals, and patterns of what has no full ARN, as texts, and they hardly
differ from those of the segments before. A text that is known costs a hash here; only of a new one
a Python string is made.
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from .columns import ABSENT, DistinctValues, Int32Array
from .gather import are_resources
from .names import Names
from .text_codes import TextCodes
from .texts import GrowingTexts, Texts

MOST_TEXTS = 500_000
"""Distinct principals, or patterns, of several segments that are kept; with more, a new list of
them begins."""


class LogWide:
    """Those of the segments that were loaded until now."""

    def __init__(self) -> None:
        self.principals = TextDictionary()
        self.patterns = Patterns()

    def renew(self) -> None:
        """Start anew what has become too long; segments that were loaded keep what they have."""
        if len(self.principals) > MOST_TEXTS:
            self.principals = TextDictionary()
        if self.patterns.count > MOST_TEXTS:
            self.patterns = Patterns()


class TextDictionary(DistinctValues):
    """A dictionary that takes texts without making strings of those that it knows.

    Invariant: the codes of `_known` are those of `values`, as far as it goes.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        super().__init__()
        self._known = TextCodes(secrets.randbits(64))

    def codes_of(self, texts: Texts) -> Int32Array:
        """`code` of each."""
        if len(self._known) < len(self.values):  # one by one, since
            more = Texts.of(map(str, self.values[len(self._known) :]))
            self._known.codes(more.data, more.offsets)
        codes = self._known.codes(texts.data, texts.offsets)
        self.values.extend(texts.take(_new_ones(codes, len(self.values))))
        return codes


class Patterns:
    """What patterns that may stand for a name stand for by now.

    Those that names have come to stand for are looked for among these, not the other way round:
    patterns of which no record tells a name are many, and stay bytes.

    count : how many patterns segments have brought
    """

    def __init__(self) -> None:
        self._known = TextCodes(secrets.randbits(64))
        self.count = 0
        self._new: list[Texts] = []
        """Those that a resolver was not asked about yet."""
        self._arn = np.zeros(0, dtype=np.int32)
        """By number of the pattern."""
        self._version = 0
        """Of the names, when they were asked last."""
        self._arns = GrowingTexts()
        """What they stand for, or stood for once."""
        self.are_resources = True
        """Are all these ARNs such as requests may name? A resolver may give anything."""

    def codes_of(self, texts: Texts) -> Int32Array:
        """The number of each pattern."""
        first = len(self._known)
        codes = self._codes(texts)
        if len(self._known) > first:
            self.count += len(self._known) - first
            self._new.append(texts.take(_new_ones(codes, first)))
        return codes

    def _codes(self, texts: Texts) -> Int32Array:
        codes = self._known.codes(texts.data, texts.offsets)
        more = len(self._known) - len(self._arn)
        if more:
            self._arn = np.concatenate([self._arn, np.full(more, ABSENT, dtype=np.int32)])
        return codes

    def code_of(self, pattern: str) -> int:
        """The number of a pattern; -1 where no segment has it."""
        return self._known.code_of(pattern.encode("utf-8", "surrogatepass"))

    def arns_of(self, codes: Int32Array, names: Names) -> Int32Array:
        """The number of the ARN that each pattern stands for, as it is known by now, else ABSENT;
        the same one while it stands for the same."""
        asked = list(dict.fromkeys(names.changed[self._version :]))
        self._version = names.version
        if names.has_resolver:  # which may take its time, and is asked for what is needed alone
            asked = [pattern for pattern in asked if self.code_of(pattern) >= 0]
            asked += (pattern for texts in self._new for pattern in texts)
        self._new = []
        if asked:
            at = self._codes(Texts.of(asked))
            self._arn[at] = self._numbers_of(names.arns(asked))
        return self._arn.take(codes)

    def texts_of(self, arns: NDArray[np.int32]) -> Texts:
        """The ARNs with these numbers."""
        return self._arns.take(arns)

    def _numbers_of(self, arns: list[str | None]) -> Int32Array:
        """New numbers of ARNs; ABSENT for None."""
        numbers = np.full(len(arns), ABSENT, dtype=np.int32)
        places = [place for place, arn in enumerate(arns) if arn is not None]
        first = len(self._arns)
        numbers[places] = np.arange(first, first + len(places), dtype=np.int32)
        new = Texts.of(arn for arn in arns if arn is not None)
        self._arns.extend(new)
        self.are_resources = self.are_resources and are_resources(new.data, new.offsets)
        return numbers


def _new_ones(codes: Int32Array, known: int) -> NDArray[np.int64]:
    """Where each code from `known` on comes first; these follow each other as they appear."""
    places = np.flatnonzero(codes >= known)
    if not len(places):
        return places
    new = codes[places] - known
    first = np.empty(int(new.max()) + 1, dtype=np.int64)
    first[new[::-1]] = places[::-1]  # of equal ones the first is written last
    return first
