"""Batches of records given by their actions, for tests of what decides batches."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from command_line import USER

from iamtables.logs.columns import Coded


def coded(values):
    distinct = list(dict.fromkeys(v for v in values if v is not None))
    codes = [-1 if v is None else distinct.index(v) for v in values]
    return Coded(np.array(codes, dtype=np.int32), distinct)


@dataclass
class FakeBatch:
    """Records given as lists of actions; every other fact has a default."""

    members: list[list[str]]
    record_class: Any = None
    identity: Any = None
    is_complete: Any = None
    principals: list[str] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    outcome: Any = None
    resources: list[str | None] | None = None
    """One for each request; `*` where none are given."""

    def __post_init__(self):
        self.records = len(self.members)
        self.requests = sum(map(len, self.members))
        self.group = np.repeat(np.arange(self.records), [len(m) for m in self.members]).astype(
            np.int32)
        self.action = coded(list(itertools.chain(*self.members)))
        self.resource = coded(self.resources or ["*"] * self.requests)
        whose = self.principals or [USER] * self.records
        self.principal = coded([whose[g] for g in self.group.tolist()])
        zeros = np.zeros(self.records, dtype=np.uint8)
        self.record_class = zeros if self.record_class is None else np.array(
            self.record_class, dtype=np.uint8)
        self.identity = zeros if self.identity is None else np.array(self.identity, dtype=np.uint8)
        self.outcome = zeros if self.outcome is None else np.array(self.outcome, dtype=np.uint8)
        self.is_complete = np.ones(self.records, dtype=bool) if self.is_complete is None else (
            np.array(self.is_complete))
        self.record_reason = coded([None] * self.records)
