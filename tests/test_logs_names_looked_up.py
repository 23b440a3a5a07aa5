"""Patterns of a dictionary are looked up once each, until they come to stand for something else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from iamtables.logs.batch import _resolve
from iamtables.logs.columns import ABSENT, Dictionary
from iamtables.logs.names import Names
from iamtables.logs.texts import Texts

ROLE = "arn:aws:iam::111122223333:role"


class Asked(Names):
    """Names that note what they are asked for."""

    asked: list[str]

    def arns(self, patterns: Iterable[str]) -> list[str | None]:
        given = list(patterns)
        self.asked = given
        return super().arns(given)


@pytest.fixture
def texts() -> Dictionary:
    """Four patterns, the first and the last of which are spelled alike."""
    made = Dictionary()
    for name in "ab":
        made.code(f"{ROLE}/*{name}")
    spelled = [f"{ROLE}/*{name}".encode() for name in "ca"]
    made.extend(Texts(np.frombuffer(b"".join(spelled), dtype=np.uint8),
                      np.cumsum([0, *map(len, spelled)])))
    return made


def looked_up(texts: Dictionary, values: Dictionary, names: Names, *patterns: int
              ) -> list[str | None]:
    codes = np.full(len(patterns), ABSENT, dtype=np.int32)
    _resolve(np.array(patterns, dtype=np.int32), codes, texts, values, names)
    return [None if code < 0 else str(values.values[code]) for code in codes.tolist()]


def test_a_pattern_stands_for_what_was_learnt_last(texts: Dictionary) -> None:
    values, names = Dictionary(), Asked()
    assert looked_up(texts, values, names, 0, 1, 2, 3) == [None] * 4
    names.learn(f"{ROLE}/teams/a")
    assert looked_up(texts, values, names, 0, 1, 2, 3) == [
        f"{ROLE}/teams/a", None, None, f"{ROLE}/teams/a"]
    assert names.asked == [f"{ROLE}/*a"] * 2
    names.learn(f"{ROLE}/c")
    assert looked_up(texts, values, names, 3, 1, 0) == [
        f"{ROLE}/teams/a", None, f"{ROLE}/teams/a"]
    assert names.asked == []
    names.learn(f"{ROLE}/elsewhere/a")  # two of one name: it stands for none
    assert looked_up(texts, values, names, 0, 2, 3) == [None, f"{ROLE}/c", None]
    assert sorted(names.asked) == [f"{ROLE}/*a", f"{ROLE}/*a", f"{ROLE}/*c"]


def test_other_names_are_looked_up_anew(texts: Dictionary) -> None:
    values, names = Dictionary(), Asked()
    names.learn(f"{ROLE}/teams/b")
    assert looked_up(texts, values, names, 1) == [f"{ROLE}/teams/b"]
    others = Asked()
    assert looked_up(texts, values, others, 1) == [None]
    assert looked_up(texts, values, names, 1) == [f"{ROLE}/teams/b"]
