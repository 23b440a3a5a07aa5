"""What a reader has learnt: distinct callers and distinct calls, as rows of codes.

Mapping runs once per distinct caller and per distinct call; a record is then a pair of row numbers,
and every column of a batch is one gather from these tables. The tables and their dictionaries grow
together and are dropped together when the reader starts new ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .calls import MappedCall
from .classes import Requester
from .columns import ABSENT, UNKNOWN, Dictionary, DistinctValues, Int32Array
from .context import Caller, CallerKey, KeyValue, _mfa
from .duplicates import account_hash
from .log_wide import Patterns
from .names import pattern_of_session
from .parameters import NOT_SHOWN, _Unknown
from .records import seconds
from .request_keys import RequestKey
from .sessions import is_temporary
from .texts import GrowingTexts, Texts


def _key_code(dictionary: Dictionary, value: KeyValue) -> int:
    if value is None:
        return ABSENT
    if isinstance(value, _Unknown):
        return UNKNOWN
    return dictionary.code(value)


def _role_pattern(caller: Caller) -> str | None:
    identity = caller.identity
    if caller.principal.arn is not None or identity is None or identity.type != "AssumedRole":
        return None
    return pattern_of_session(identity.arn or "")


CALLER_TEXTS = {"principal": "principals", "type": "types", "session": "sessions",
                "region": "regions", "account": "accounts", "problem": "problems",
                "pattern": "patterns", "access_key": "access_keys"}
"""Column of codes -> dictionary, of callers."""
CALL_TEXTS = {"source": "sources", "name": "names", "error": "errors", "reason": "reasons",
              "kind": "kinds"}
MEMBER_TEXTS = {"action": "actions", "resource": "resources", "state": "states",
                "service": "services", "pattern": "patterns"}


KeyChanges = dict[int, tuple[list[int], list[str | list[str]]]]
"""Number of a key -> (places among the rows, the key's value at each)."""


class IntTable:
    """Append-only rows of int32 codes, with named columns; a column is read as one gather."""

    __slots__ = ("_columns", "_names", "_size", "_waiting", "_width", "add")

    def __init__(self, *names: str) -> None:
        self._names = {name: index for index, name in enumerate(names)}
        self._width = len(names)
        self._columns: NDArray[np.int32] = np.empty((self._width, 256), dtype=np.int32)
        self._size = 0
        self._waiting = array("i")
        self.add: Callable[[tuple[int, ...]], None] = self._waiting.extend
        """Append one row. Invariant: the tuple has one number per column."""

    def __len__(self) -> int:
        return self._size + (len(self._waiting) // self._width if self._width else 0)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def fill(self, columns: Sequence[NDArray[np.integer[Any]]]) -> None:
        """Append many rows: one array per column, all of one length."""
        self._settle()
        if columns:
            self._append(columns, len(columns[0]))

    def take(self, name: str | int, rows: NDArray[np.integer[Any]]) -> Int32Array:
        """int32[len(rows)], a copy."""
        self._settle()
        column = self._names[name] if isinstance(name, str) else name
        taken: Int32Array = self._columns[column, : self._size].take(rows)
        return taken

    def repeat(self, rows: Int32Array, changed: dict[str, Int32Array]) -> None:
        """Append copies of these rows, but for the changed columns."""
        if not self._width:
            return
        self._settle()
        copies = self._columns.take(rows, axis=1)
        for name, column in changed.items():
            copies[self._names[name]] = column
        self._append(copies, len(rows))

    def _append(
        self, columns: Sequence[NDArray[np.integer[Any]]] | NDArray[np.int32], count: int
    ) -> None:
        end = self._size + count
        if end > self._columns.shape[1]:
            grown = np.empty((self._width, 2 * end), dtype=np.int32)
            grown[:, : self._size] = self._columns[:, : self._size]
            self._columns = grown
        if isinstance(columns, np.ndarray):
            self._columns[:, self._size : end] = columns
        else:
            for index, column in enumerate(columns):
                self._columns[index, self._size : end] = column
        self._size = end

    def _settle(self) -> None:
        """Take over the rows that were added one by one."""
        if self._waiting:
            rows = np.array(self._waiting, dtype=np.int32).reshape(-1, self._width)
            self._append(rows.T, len(rows))
            del self._waiting[:]


class KindTable(IntTable):
    """Rows that are given by their kind, as a cache has them; read only."""

    __slots__ = ("_count", "_kind", "_kinds", "_own")

    def __init__(self, kinds: dict[str, Int32Array], kind: Int32Array | None,
                 own: dict[str, Int32Array]) -> None:
        """kinds : the columns of distinct rows
        kind  : which of them each row is; None: each one stands for itself
        own   : the columns of each row alone
        """
        super().__init__(*kinds, *own)
        self._kinds, self._kind, self._own = kinds, kind, own
        columns = [kind] if kind is not None else [*kinds.values(), *own.values()]
        self._count = len(columns[0]) if columns else 0

    def __len__(self) -> int:
        return self._count

    def take(self, name: str | int, rows: NDArray[np.integer[Any]]) -> Int32Array:
        """int32[len(rows)], a copy."""
        column = name if isinstance(name, str) else self.names[name]
        own = self._own.get(column)
        taken: Int32Array
        if own is not None:
            taken = own.take(rows)
        else:
            at = rows if self._kind is None else self._kind.take(rows)
            taken = self._kinds[column].take(at)
        return taken

    @property
    def kind(self) -> Int32Array:
        """int32 per row: equal only where all columns but a row's own are."""
        return np.arange(len(self), dtype=np.int32) if self._kind is None else self._kind

    @property
    def kinds(self) -> int:
        """How many kinds there are, used or not."""
        return len(self) if self._kind is None else len(next(iter(self._kinds.values())))

    def of_kinds(self, name: str) -> Int32Array:
        """A column that is no row's own, per kind, not to be written to."""
        return self._kinds[name]

    def whole(self, name: str) -> Int32Array:
        """A column of all rows, not to be written to."""
        own = self._own.get(name)
        if own is not None:
            return own
        column = self._kinds[name]
        return column if self._kind is None else column.take(self._kind)


_MAX_BYTES = 4 << 20
"""Of identities, and of what comes beside them, that are remembered: both repeat."""
_Base = tuple[tuple[int, ...], int, int, "str | None", tuple[int, ...]]
"""(codes, start of the session, hash of the account, own user, codes of the keys)"""
_Texts = tuple["str | bytes | None", ...]
_Value = TypeVar("_Value")


class _Remembered(Generic[_Value]):
    """What was found for texts; forgotten when these are too many."""

    __slots__ = ("_bytes", "_known")

    def __init__(self) -> None:
        self._known: dict[_Texts, _Value] = {}
        self._bytes = 0

    def get(self, texts: _Texts) -> _Value | None:
        return self._known.get(texts)

    def put(self, texts: _Texts, value: _Value) -> None:
        size = 200 + sum(len(text) for text in texts if text is not None)
        if self._bytes + size > _MAX_BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[texts] = value
        self._bytes += size


class CallerTable:
    """One row per distinct (identity, region, receiving account, and the fields that keys need).

    An identity comes with many addresses, agents and the like, and these with many identities, so
    that either is read once: the keys of a caller follow from the one or from the other
    (`context.CallerKey.needs`).
    """

    def __init__(self, keys: Sequence[CallerKey], *, has_access_keys: bool = False) -> None:
        """has_access_keys : keep those of sessions"""
        self.keys = tuple(keys)
        self._has_access_keys = has_access_keys
        self.access_keys = Dictionary()
        self.principals: DistinctValues = Dictionary()
        self.types = Dictionary()
        self.sessions = Dictionary()
        self.regions = Dictionary()
        self.accounts = Dictionary()
        self.problems = Dictionary()
        self.patterns = Dictionary()
        """Patterns of roles whose sessions do not name them in full."""
        self.key_values = [Dictionary() for _ in keys]
        self.codes = IntTable(
            "principal", "type", "session", "region", "account", "requester", "problem", "mfa",
            "pattern", "access_key")
        self.key_codes = IntTable(*(key.spelling for key in keys))
        self._created = array("q")
        self._account_hash = array("q")
        self.own_user: list[str | None] = []
        self._needy = [place for place, key in enumerate(self.keys) if key.needs]
        self._others = [place for place, key in enumerate(self.keys) if not key.needs]
        places = [*self._others, *self._needy]
        self._in_order = [places.index(place) for place in range(len(places))]
        self._of_identity: _Remembered[_Base] = _Remembered()
        self._of_rest: _Remembered[tuple[int, ...]] = _Remembered()

    def __len__(self) -> int:
        return len(self.own_user)

    def again(self, identity: _Texts, rest: _Texts) -> int | None:
        """The new row of a caller, from what earlier ones were given as; None where it takes more.

        identity : what all but the keys with needs follow from
        rest     : what these follow from
        """
        if not self._needy:  # then hardly two callers have one identity
            return None
        known, keys = self._of_identity.get(identity), self._of_rest.get(rest)
        return None if known is None or keys is None else self._append(known, keys)

    def add(self, caller: Caller, recipient: str | None, identity: _Texts, rest: _Texts) -> int:
        """The new row; identity, rest: as for `again`."""
        known, keys = (self._of_identity.get(identity), self._of_rest.get(rest)) if (
            self._needy) else (None, ())
        if known is None:
            known = self._read(caller, recipient)
        if keys is None:
            keys = self._read_keys(caller, self._needy)
        if self._needy:
            self._of_identity.put(identity, known)
            self._of_rest.put(rest, keys)
        return self._append(known, keys)

    def _append(self, known: _Base, keys: tuple[int, ...]) -> int:
        codes, created, of_account, own_user, of_identity = known
        self.codes.add(codes)
        self._created.append(created)
        self._account_hash.append(of_account)
        both = of_identity + keys
        if both:
            self.key_codes.add(tuple([both[place] for place in self._in_order]))
        self.own_user.append(own_user)
        return len(self.own_user) - 1

    def _read_keys(self, caller: Caller, places: list[int]) -> tuple[int, ...]:
        return tuple([_key_code(self.key_values[place], self.keys[place].read(caller))
                      for place in places])

    def _read(self, caller: Caller, recipient: str | None) -> _Base:
        identity, principal = caller.identity, caller.principal
        kind = identity.type if identity is not None else None
        mfa = _mfa(caller)
        codes = (
            self.principals.optional(principal.arn),
            self.types.optional(kind),
            self.sessions.optional(principal.session),
            self.regions.optional(caller.region),
            self.accounts.optional(recipient),
            int(principal.requester),
            self.problems.optional(principal.problem),
            UNKNOWN if mfa is NOT_SHOWN else 1 if mfa == "true" else ABSENT,
            self.patterns.optional(_role_pattern(caller)),
            self.access_keys.optional(identity.accessKeyId) if (
                self._has_access_keys and identity is not None
                and is_temporary(identity.accessKeyId)) else ABSENT,
        )
        attributes = caller.attributes
        keys = self._read_keys(caller, self._others)
        is_user = kind == "IAMUser" and principal.requester == Requester.ROLE_OR_USER
        return (codes, seconds(attributes.creationDate if attributes is not None else None),
                account_hash(recipient), principal.arn if is_user else None, keys)

    def fill(self, created: NDArray[np.int64]) -> None:
        """After the codes were filled: sessions' starts, and what follows from the codes."""
        rows = np.arange(len(created), dtype=np.int32)
        self._created.frombytes(np.ascontiguousarray(created, dtype=np.int64).tobytes())
        hashes = np.array([account_hash(text) for text in (
            *map(str, self.accounts.values), None)], dtype=np.int64)
        accounts = self.codes.take("account", rows)
        self._account_hash.frombytes(hashes[accounts].tobytes())
        self.own_user.extend([None] * len(created))

    def take_created(self, rows: Int32Array) -> NDArray[np.int64]:
        """Start of the session in Unix seconds, or -1."""
        return np.frombuffer(self._created, dtype=np.int64).take(rows)

    def take_account_hash(self, rows: Int32Array) -> NDArray[np.int64]:
        return np.frombuffer(self._account_hash, dtype=np.int64).take(rows)


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
        self.resources = Dictionary(GrowingTexts())
        self.patterns = Dictionary(GrowingTexts())
        self.states = Dictionary()
        self.services = Dictionary()
        self.action_services: list[int] = []
        self.key_values = [Dictionary() for _ in keys]
        self.codes = IntTable("source", "name", "error", "record_class", "reason", "is_complete",
                              "outcome", "kind", "explicit", "first_member", "member_count")
        self.members = IntTable("action", "resource", "state", "service", "pattern")
        self.key_codes = IntTable(*(key.spelling for key in keys))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def size(self) -> int:
        return len(self.codes) + len(self.members)

    def like(self, rows: Int32Array, texts: Texts, keys: KeyChanges) -> Int32Array:
        """New calls that differ from the calls `rows`, of one member each, in their resource.

        Where the resource is known in part, the text is its pattern; where it is not known at
        all, the calls do not differ. keys: by number, the values of keys that differ, too.
        """
        count, first, member = len(rows), len(self.members), self.codes.take("first_member", rows)
        begin = len(self.codes)
        resource, pattern = self.members.take("resource", member), self.members.take(
            "pattern", member)
        of_pattern = (resource < 0) & (pattern >= 0)
        for codes, dictionary, changes in ((resource, self.resources, resource >= 0),
                                           (pattern, self.patterns, of_pattern)):
            if changes.all():
                codes[:] = dictionary.extend(texts) + np.arange(count, dtype=np.int32)
            elif changes.any():
                places = np.flatnonzero(changes)
                codes[places] = dictionary.extend(texts.take(places)) + np.arange(len(places))
        self.members.repeat(member, {"resource": resource, "pattern": pattern})
        changed: dict[str, Int32Array] = {}
        for number, (at, values) in keys.items():
            codes = self.key_codes.take(number, member)
            codes[at] = [self.key_values[number].code(value) for value in values]
            changed[self.keys[number].spelling] = codes
        self.key_codes.repeat(member, changed)
        self.codes.repeat(rows, {"first_member": np.arange(first, first + count, dtype=np.int32)})
        return np.arange(begin, begin + count, dtype=np.int32)

    def add(self, source: str, name: str, error: str | None, call: MappedCall) -> int:
        """The new row."""
        outcome, members = call.outcome, call.members
        row = len(self.codes)
        self.codes.add((
            self.sources.code(source),
            self.names.code(name),
            self.errors.optional(error or None),
            int(call.record_class),
            self.reasons.optional(call.reason),
            call.is_complete,
            int(outcome.outcome),
            self.kinds.optional(outcome.kind),
            0 if outcome.is_explicit is None else 1 + outcome.is_explicit,
            len(self.members),
            len(members),
        ))
        for member in members:
            action = self.actions.code(member.action)
            if action == len(self.action_services):
                self.action_services.append(self.services.code(member.action.partition(":")[0]))
            self.members.add((
                action,
                self.resources.optional(member.resource),
                self.states.code(member.state),
                self.action_services[action],
                self.patterns.optional(member.pattern),
            ))
            if member.keys:
                self.key_codes.add(tuple(map(_key_code, self.key_values, member.keys)))
        return row


class StoredCallers(CallerTable):
    """Callers as a cache has them."""

    codes: KindTable


class StoredCalls(CallTable):
    """Calls as a cache has them: each with the rows of its members behind those of the call
    before."""

    codes: KindTable
    members: KindTable
    is_one_each = False
    """Has each call one member?"""
    nameable: Int32Array
    """The first of the patterns, those that may stand for a name (`names.may_name`): their numbers
    among the patterns of the log."""
    patterns_of_log: Patterns
