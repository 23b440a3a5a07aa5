"""What the benchmarks of many principals ask: five hundred of them under real managed policies.

Each principal has one to ten of the managed policies that moto carries. Who calls what is drawn
from a seed over the 500 x 400 pairs of principal and action, skewed as real traffic is; most
pairs are ones that the principal's policies mention. The share of rows that (principal, action)
leaves undecided is set, not found: benchmarks of deciding are about that share. Resources are
instances of the patterns of the statements that speak for the pair, and noise; conditions ask
for five keys, the ones that these policies use most.

Rows are independent of each other, which is harder for caches than the bursts of real logs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from corpora import Coded, ManagedPolicies
from numpy.typing import NDArray
from peers import MemoisedEvaluator

import iamtables
from iamtables import Account, DictionaryColumn, Organization, PolicySet, Principal
from iamtables.catalogue import load_catalogue

SEED = 20261127
ACCOUNT = "111122223333"
GIVEN = {"aws:ResourceAccount": ACCOUNT, "aws:PrincipalAccount": ACCOUNT}
"""What follows from who asks and whose the resource is."""
PRINCIPALS = 500
ACTIONS = 400
MOST_POLICIES = 10
KEY_COUNT = 5
NULL_SHARE = 0.6
MENTIONED_WEIGHT = 20.0
"""How much likelier an action is that the principal's policies mention."""
NOISE_SHARE = 0.3
"""Rows whose resource is an instance of no pattern of theirs."""
_LEFT_OUT = ("session", "boundary", "resource", "scp", "rcp", "vpce")
_MULTIVALUED = re.compile("aws:tagkeys|aws:calledvia|kms:encryptioncontextkeys|.*:grantoperations")
_FROM_WHO_ASKS = re.compile(r"aws:principal.*|aws:resource(account|orgid|orgpaths)|aws:userid"
                            r"|aws:username|aws:viaawsservice|aws:calledvia.*|aws:current.*")
_HOLE = re.compile(r"\$\{[^}]*\}|\*|\?")
_REGIONS = ("us-east-1", "us-west-2", "eu-central-1")
_WORDS = ("orders", "ranking", "search", "summary", "chat", "intake", "claims", "review", "billing",
          "catalog", "forecast", "routing")
_NEVER = re.compile(r"sts:(getcalleridentity|getsessiontoken|assume).*", re.IGNORECASE)
"""Actions with rules of their own, beside identity policies."""


class PrincipalCorpus:
    """Columns of requests of many principals, in several layouts, and their organization.

    undecided : share of the rows that (principal, action) does not decide
    distinct  : distinct resources aimed at; `distinct_resources` counts them; `rows` makes every
                one different
    attached  : names of the policies of each principal
    """

    def __init__(self, managed: ManagedPolicies, rows: int, *, distinct: int,
                 undecided: float = 0.25, principals: int = PRINCIPALS, seed: int = SEED) -> None:
        self.managed, self.rows, self.undecided, self.seed = managed, rows, undecided, seed
        rng = np.random.default_rng(seed)
        names = list(managed.texts)
        self.attached = [
            sorted(rng.choice(len(names), min(len(names), 1 + int(rng.integers(MOST_POLICIES))),
                              replace=False).tolist()) for _ in range(principals)]
        self.policies = {n: _Policy(managed.texts[names[n]])
                         for n in sorted({n for some in self.attached for n in some})}
        self.names = names
        self.arns = [f"arn:aws:iam::{ACCOUNT}:role/{_WORDS[i % 12]}-{i}" for i in range(principals)]
        self.actions = _choose_actions(self.policies, self.attached, rng)
        speaking = self._speaking()
        is_open, families = self._pairs(speaking)
        pairs = self._draw_pairs(is_open, speaking, rng)
        self.is_open = is_open[pairs]
        self.columns = {
            "principal": Coded((pairs // len(self.actions)).astype(np.int32), self.arns),
            "action": Coded((pairs % len(self.actions)).astype(np.int32), self.actions),
            "resource": self._draw_resources(pairs, families, distinct, rng),
        } | self._draw_keys(rng)
        self.distinct_resources = len(self.columns["resource"].values)

    # --- who may call what

    def _speaking(self) -> list[list[list[_Statement]]]:
        """[principal][action] -> statements that match the action."""
        lowered = [action.lower() for action in self.actions]
        by_policy = {n: [[s for s in policy.statements if s.matches(action)] for action in lowered]
                     for n, policy in self.policies.items()}
        return [[[s for n in some for s in by_policy[n][a]] for a in range(len(lowered))]
                for some in self.attached]

    def _pairs(self, speaking: list[list[list[_Statement]]]
               ) -> tuple[NDArray[np.bool_], list[tuple[str, ...]]]:
        """Of each pair: whether it is left open, and patterns of resources worth asking for."""
        is_open, families = [], []
        for of_principal in speaking:
            for action, statements in zip(self.actions, of_principal, strict=True):
                is_open.append(not _is_decided(statements))
                patterns = {p for s in statements for p in s.resources if p != "*"}
                families.append(tuple(sorted(patterns)) or (_noise(action),))
        return np.array(is_open), families

    def _draw_pairs(self, is_open: NDArray[np.bool_], speaking: list[list[list[_Statement]]],
                    rng: np.random.Generator) -> NDArray[np.int64]:
        mentioned = np.array([bool(some) for of_one in speaking for some in of_one])
        weight = np.outer(_skew(len(self.arns), rng), _skew(len(self.actions), rng)).ravel()
        weight *= np.where(mentioned, MENTIONED_WEIGHT, 1.0)
        for group, share in ((is_open, self.undecided), (~is_open, 1 - self.undecided)):
            weight[group] *= share / weight[group].sum()
        return _pick(rng, weight, self.rows)

    # --- what they call it on

    def _draw_resources(self, pairs: NDArray[np.int64], families: list[tuple[str, ...]],
                        distinct: int, rng: np.random.Generator) -> Coded:
        all_different = distinct >= self.rows
        numbers: dict[str, int] = {}
        flat, starts = [], [0]
        for some in families:
            flat += [numbers.setdefault(p, len(numbers)) for p in some]
            starts.append(len(flat))
        noise = np.array([numbers.setdefault(_noise(a), len(numbers)) for a in self.actions])
        start = np.array(starts)
        sizes = np.diff(start)[pairs]
        family = np.array(flat)[start[pairs] + (rng.random(self.rows) * sizes).astype(np.int64)]
        is_noise = rng.random(self.rows) < NOISE_SHARE
        patterns = list(numbers)
        has_room = np.array([bool(_HOLE.search(p)) for p in patterns])
        if all_different:
            is_noise |= ~has_room[family]
        family = np.where(is_noise, noise[pairs % len(self.actions)], family)
        counts = np.bincount(family, minlength=len(patterns))
        if all_different:
            room = counts
        else:
            room = np.minimum(1, counts)
            free = np.where(has_room, counts, 0) / max(1, counts[has_room].sum())
            more = np.floor(free * (distinct - room.sum())).astype(np.int64)
            room = np.where(has_room, np.minimum(counts, room + more), room)
        codes = np.empty(self.rows, dtype=np.int32)
        texts: list[str] = []
        order = np.argsort(family, kind="stable")
        ends = np.cumsum(counts)
        for number in np.flatnonzero(counts):
            at = order[ends[number] - counts[number]:ends[number]]
            size = int(room[number])
            instance = np.floor(size * rng.random(len(at)) ** 3).astype(np.int32)  # skewed
            instance[rng.permutation(len(at))[:size]] = np.arange(size, dtype=np.int32)
            codes[at] = instance + len(texts)
            texts += _instances(patterns[number], size, len(texts))
        return Coded(codes, texts)

    def _draw_keys(self, rng: np.random.Generator) -> dict[str, Coded]:
        uses: Counter[str] = Counter()
        values: dict[str, dict[str, None]] = {}
        for some in self.attached:
            for statement in (s for n in some for s in self.policies[n].statements):
                for key, texts in statement.keys:
                    uses[key.lower()] += 1
                    values.setdefault(key.lower(), {}).update(dict.fromkeys(texts))
        chosen = [key for key, _ in uses.most_common() if not _MULTIVALUED.fullmatch(key)
                  and not _FROM_WHO_ASKS.fullmatch(key)][:KEY_COUNT]
        columns = {}
        for key in chosen:
            texts = list(dict.fromkeys(_HOLE.sub("x1", v) for v in values[key]
                                       if v.lower() not in ("true", "false")))[:40]
            texts.append("another value")
            drawn = _pick(rng, 1 / np.arange(1, len(texts) + 1), self.rows).astype(np.int32)
            columns[key] = Coded(np.where(rng.random(self.rows) < NULL_SHARE, np.int32(-1), drawn),
                                 texts)
        return columns

    # --- the same rows in several layouts

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(list(self.columns)[3:])

    @cached_property
    def strings(self) -> dict[str, Any]:
        """Plain Arrow strings."""
        return {name: c.to_strings() for name, c in self.columns.items()} | self._owner

    @cached_property
    def dictionaries(self) -> dict[str, Any]:
        """Arrow dictionaries; nulls in a bitmap."""
        return {
            name: pa.DictionaryArray.from_arrays(
                pa.array(c.codes, mask=c.codes < 0), pa.array(list(c.values), pa.string()))
            for name, c in self.columns.items()} | self._owner

    @cached_property
    def coded(self) -> dict[str, Any]:
        """`DictionaryColumn` for each: nulls are codes."""
        return {name: DictionaryColumn(c.codes, list(c.values))
                for name, c in self.columns.items()} | self._owner

    def lists(self, rows: int) -> dict[str, Any]:
        """The first rows as Python lists."""
        return {name: [None if code < 0 else c.values[code] for code in c.codes[:rows].tolist()]
                for name, c in self.columns.items()} | self._owner

    @cached_property
    def _owner(self) -> dict[str, Any]:
        """Whose the resources are; tags without a column of their own are absent, not unknown."""
        statements = [s for policy in self.policies.values() for s in policy.statements]
        keys = {key for statement in statements for key, _ in statement.keys}
        tags = {key.lower(): None for key in sorted(keys)
                if ":resourcetag/" in key.lower() or ":principaltag/" in key.lower()}
        return {"resource_account": ACCOUNT} | {
            key: None for key in tags if key not in self.columns}

    # --- answers

    @cached_property
    def organization(self) -> Organization:
        """Identity policies of every principal; every other layer is left out."""
        documents = {n: iamtables.parse_policy(self.managed.texts[self.names[n]],
                                               name=self.names[n]) for n in self.policies}
        return Organization(
            accounts=(Account(ACCOUNT),),
            principals=tuple(
                Principal(arn, identity=PolicySet(tuple(documents[n] for n in some)), tags={})
                for arn, some in zip(self.arns, self.attached, strict=True)),
            missing_layers=_LEFT_OUT)

    @cached_property
    def table(self) -> iamtables.Table:
        return iamtables.compile(self.organization)

    @cached_property
    def told(self) -> list[list[str]]:
        """The policies of each principal as evaluators without variables take them."""
        return [[told(self.managed.texts[self.names[n]]) for n in some] for some in self.attached]

    def judged(self, rows: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """(row numbers, their decisions) of the first `rows`, by the memoised evaluator.

        Rows are left out of principals with a policy that the evaluator does not know all of
        (`${aws:PrincipalAccount}` it is told), and rows about KMS keys, whose own policies count.
        """
        columns = self.lists(rows)
        by_principal = self.columns["principal"].codes[:rows].copy()
        is_key = np.array([":key/" in text for text in self.columns["resource"].values])
        by_principal[is_key[self.columns["resource"].codes[:rows]]] = -1
        at, decisions = [], []
        for number in np.unique(by_principal[by_principal >= 0]):
            try:
                peer = MemoisedEvaluator(self.told[number])
            except ValueError:
                continue
            mine = np.flatnonzero(by_principal == number)
            asked = {name: [column[i] for i in mine] for name, column in columns.items()
                     if name != "principal" and isinstance(column, list)}
            asked |= {key: [value] * len(mine) for key, value in GIVEN.items()}
            asked["aws:PrincipalArn"] = [self.arns[number]] * len(mine)
            at.append(mine)
            decisions.append(np.array(peer.decide_rows(asked), dtype=np.uint8))
        return np.concatenate(at), np.concatenate(decisions)

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for name, column in self.columns.items():
            digest.update(json.dumps([name, list(column.values)]).encode())
            digest.update(column.codes.astype("<i4").tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, object]:
        """What a report needs to name this corpus."""
        return {
            "corpus_sha256": self.sha256, "corpus_seed": self.seed, "rows": self.rows,
            "principals": len(self.arns), "actions": len(self.actions),
            "policies": len(self.policies), "distinct_resources": self.distinct_resources,
            "undecided": round(float(self.is_open.mean()), 4), "keys": list(self.keys),
        }


def told(text: str) -> str:
    """A policy with the one variable replaced whose value is the same for all."""
    return text.replace("${aws:PrincipalAccount}", ACCOUNT)


def known_to_peers(managed: ManagedPolicies) -> ManagedPolicies:
    """Those that the evaluator of peers.py knows all of."""
    texts = {}
    for name, text in managed.texts.items():
        try:
            MemoisedEvaluator([told(text)])
        except ValueError:
            continue
        texts[name] = text
    return ManagedPolicies(texts)


class _Policy:
    def __init__(self, text: str) -> None:
        self.statements = [_Statement(s) for s in _listed(json.loads(text)["Statement"])]


@dataclass(frozen=True, slots=True)
class _Statement:
    """What drawing needs of a statement."""

    matches: Callable[[str], bool]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    keys: tuple[tuple[str, tuple[str, ...]], ...]
    is_deny: bool
    is_certain: bool

    def __init__(self, statement: Mapping[str, Any]) -> None:
        put = object.__setattr__.__get__(self)
        is_not = "NotAction" in statement
        patterns = tuple(_listed(statement["NotAction" if is_not else "Action"]))
        found = re.compile("|".join(_glob(p.lower()) for p in patterns)).fullmatch
        put("matches", (lambda action: not found(action)) if is_not
            else (lambda action: bool(found(action))))
        put("actions", () if is_not else patterns)
        put("resources", tuple(_listed(statement.get("Resource", []))))
        conditions = statement.get("Condition", {})
        put("keys", tuple((key, tuple(map(str, _listed(value)))) for tests in conditions.values()
                          for key, value in tests.items()))
        put("is_deny", statement["Effect"] == "Deny")
        put("is_certain", "*" in self.resources and not conditions)


def _is_decided(statements: Sequence[_Statement]) -> bool:
    """Whether nothing of a request but principal and action counts."""
    denies = [s for s in statements if s.is_deny]
    if any(s.is_certain for s in denies):
        return True
    return not denies and (not statements or any(s.is_certain for s in statements))


def _choose_actions(policies: Mapping[int, _Policy], attached: Sequence[Sequence[int]],
                    rng: np.random.Generator) -> list[str]:
    """Half are those that most principals may call, half are any that some may."""
    catalogue = load_catalogue()
    known = {name.lower(): name for name in catalogue.actions()}
    expanded: dict[str, list[str]] = {}

    def names(pattern: str) -> list[str]:
        if pattern not in expanded:
            low = pattern.lower()
            if _HOLE.search(low):
                service = low.partition(":")[0]
                found = re.compile(_glob(low)).fullmatch
                among = () if _HOLE.search(service) else map(
                    str.lower, catalogue.actions_of(service))
                expanded[pattern] = [a for a in among if found(a)]
            else:
                expanded[pattern] = [low] if low in known else []
        return expanded[pattern]

    of_policy = {n: {a for s in p.statements for pattern in s.actions for a in names(pattern)}
                 for n, p in policies.items()}
    uses = Counter(a for some in attached for a in set().union(*(of_policy[n] for n in some))
                   if not _NEVER.fullmatch(a))
    listed = [action for action, _ in sorted(uses.items(), key=lambda use: (-use[1], use[0]))]
    rest = listed[ACTIONS // 2:]
    chosen = listed[:ACTIONS // 2] + [
        rest[i] for i in rng.permutation(len(rest))[:ACTIONS - ACTIONS // 2]]
    return [known[action] for action in chosen]


def _noise(action: str) -> str:
    return f"arn:aws:{action.partition(':')[0]}:*:{ACCOUNT}:unlisted/*"


def _instances(pattern: str, count: int, base: int) -> list[str]:
    """Texts that a pattern matches, all different where it has room for it."""
    if not _HOLE.search(pattern):
        return [pattern]
    *heads, last = _HOLE.split(pattern)
    texts = []
    for i in range(base, base + count):
        text = ""
        for hole, head in enumerate(heads):
            if (text + head).count(":") == 3:
                filled = _REGIONS[i % 3]
            elif (text + head).count(":") == 4:
                filled = ACCOUNT
            else:
                filled = f"{_WORDS[i % 12]}-{i:06d}" if hole == len(heads) - 1 else _WORDS[i % 7]
            text += head + filled
        text += last
        if f"{i:06d}" not in text:
            text += f"/{i:06d}"  # its holes are all before the name: a neighbour of the pattern
        texts.append(text)
    return texts


def _skew(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.permutation(1.0 / np.arange(1, size + 1))


def _pick(rng: np.random.Generator, weight: NDArray[np.float64], rows: int) -> NDArray[np.int64]:
    bounds = np.cumsum(weight)
    drawn = np.searchsorted(bounds, rng.random(rows) * bounds[-1], side="right")
    return np.minimum(drawn, len(weight) - 1)


def _glob(pattern: str) -> str:
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
