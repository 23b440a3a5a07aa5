"""What a reader has learnt: distinct callers and distinct calls, as rows of codes.

Mapping runs once per distinct caller and per distinct call; a record is then a pair of row numbers,
and every column of a batch is one gather from these tables. The tables and their dictionaries grow
together and are dropped together when the reader starts new ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .calls import MappedCall
from .classes import Requester
from .columns import ABSENT, UNKNOWN, Dictionary, Int32Array
from .context import Caller, CallerKey, KeyValue, _mfa
from .parameters import NOT_SHOWN, _Unknown
from .records import seconds
from .request_keys import RequestKey


def _key_code(dictionary: Dictionary, value: KeyValue) -> int:
    if value is None:
        return ABSENT
    if isinstance(value, _Unknown):
        return UNKNOWN
    return dictionary.code(value)


class IntColumn:
    """An append-only column of machine integers, read through numpy without a copy of its own."""

    __slots__ = ("append", "values")

    def __init__(self, kind: str = "i") -> None:
        self.values = array(kind)
        self.append = self.values.append

    def take(self, rows: NDArray[np.intp] | Int32Array) -> NDArray[np.int32]:
        """int32[len(rows)], a copy. The view must not outlive this call: appending would fail."""
        dtype = np.int32 if self.values.typecode == "i" else np.int64
        if not self.values:
            return np.empty(0, dtype=dtype)  # type: ignore[return-value]
        return np.frombuffer(self.values, dtype=dtype)[rows]  # type: ignore[return-value]


class CallerTable:
    """One row per distinct (identity, region, receiving account, and the fields that keys need)."""

    def __init__(self, keys: Sequence[CallerKey]) -> None:
        self.keys = tuple(keys)
        self.principals = Dictionary()
        self.types = Dictionary()
        self.sessions = Dictionary()
        self.regions = Dictionary()
        self.accounts = Dictionary()
        self.problems = Dictionary()
        self.key_values = [Dictionary() for _ in keys]
        self.principal = IntColumn()
        self.type = IntColumn()
        self.session = IntColumn()
        self.region = IntColumn()
        self.account = IntColumn()
        self.requester = IntColumn()
        self.problem = IntColumn()
        self.mfa = IntColumn()
        self.created = IntColumn("q")
        self.account_hash = IntColumn("q")
        self.key_codes = [IntColumn() for _ in keys]
        self.own_user: list[str | None] = []

    def __len__(self) -> int:
        return len(self.own_user)

    def add(self, caller: Caller, recipient: str | None) -> int:
        """The new row."""
        identity, principal = caller.identity, caller.principal
        kind = identity.type if identity is not None else None
        self.principal.append(self.principals.optional(principal.arn))
        self.type.append(self.types.optional(kind))
        self.session.append(self.sessions.optional(principal.session))
        self.region.append(self.regions.optional(caller.region))
        self.account.append(self.accounts.optional(recipient))
        self.requester.append(int(principal.requester))
        self.problem.append(self.problems.optional(principal.problem))
        mfa = _mfa(caller)
        self.mfa.append(UNKNOWN if mfa is NOT_SHOWN else 1 if mfa == "true" else ABSENT)
        attributes = caller.attributes
        self.created.append(seconds(attributes.creationDate if attributes is not None else None))
        self.account_hash.append(hash(recipient))
        for key, dictionary, codes in zip(self.keys, self.key_values, self.key_codes, strict=True):
            codes.append(_key_code(dictionary, key.read(caller)))
        is_user = kind == "IAMUser" and principal.requester == Requester.ROLE_OR_USER
        self.own_user.append(principal.arn if is_user else None)
        return len(self.own_user) - 1


class CallTable:
    """One row per distinct call; its members are consecutive rows of the member columns."""

    def __init__(self, keys: Sequence[RequestKey]) -> None:
        self.keys = tuple(keys)
        self.sources = Dictionary()
        self.names = Dictionary()
        self.errors = Dictionary()
        self.reasons = Dictionary()
        self.kinds = Dictionary()
        self.actions = Dictionary()
        self.resources = Dictionary()
        self.states = Dictionary()
        self.services = Dictionary()
        self.key_values = [Dictionary() for _ in keys]
        self.record_class = IntColumn()
        self.reason = IntColumn()
        self.is_complete = IntColumn()
        self.outcome = IntColumn()
        self.kind = IntColumn()
        self.explicit = IntColumn()
        self.source = IntColumn()
        self.name = IntColumn()
        self.error = IntColumn()
        self.first_member = IntColumn()
        self.member_count = IntColumn()
        self.action = IntColumn()
        self.resource = IntColumn()
        self.state = IntColumn()
        self.service = IntColumn()
        self.key_codes = [IntColumn() for _ in keys]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        return self._count + len(self.action.values)

    def add(self, source: str, name: str, error: str | None, call: MappedCall) -> int:
        """The new row."""
        outcome = call.outcome
        self.source.append(self.sources.code(source))
        self.name.append(self.names.code(name))
        self.error.append(self.errors.optional(error or None))
        self.record_class.append(int(call.record_class))
        self.reason.append(self.reasons.optional(call.reason))
        self.is_complete.append(int(call.is_complete))
        self.outcome.append(int(outcome.outcome))
        self.kind.append(self.kinds.optional(outcome.kind))
        self.explicit.append(0 if outcome.is_explicit is None else 1 + outcome.is_explicit)
        self.first_member.append(len(self.action.values))
        self.member_count.append(len(call.members))
        for member in call.members:
            self.action.append(self.actions.code(member.action))
            self.resource.append(self.resources.optional(member.resource))
            self.state.append(self.states.code(member.state))
            self.service.append(self.services.code(member.action.partition(":")[0]))
            for dictionary, codes, value in zip(
                self.key_values, self.key_codes, member.keys, strict=True
            ):
                codes.append(_key_code(dictionary, value))
        self._count += 1
        return self._count - 1
