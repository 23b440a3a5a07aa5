"""From signals and facts to a verdict: the last step of an evaluation, for one request at a time.

The kernel takes this step by table for a whole column and keeps only the decision and one layer.
Here all deciders are named (EVAL-1), for single checks and explanations.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from .codes import DecisionCode, Layer
from .evaluation import Allows, Asker, Stage, paths_and_gates
from .signals import DENIES, LEVELS, Signal

Claim = tuple[bool, ...]
"""The ways in which a fact may turn out: one of them, or both."""


class Facts(NamedTuple):
    """What of a request is in no policy (5.2)."""

    asker: Asker
    is_same_account: Claim
    is_same_partition: Claim
    needs_policy: Claim
    is_trust: Claim
    is_assumed_root: Claim
    is_root: bool
    is_bucket_policy: bool
    """An operation on a bucket's policy (EVAL-16)."""
    has_policy: bool
    """The resource has a policy of its own."""
    is_otherwise_allowed: bool
    scp_levels: int

    def stages(self) -> Iterator[Stage]:
        for same, partition, must, trust, assumed in product(
            self.is_same_account, self.is_same_partition, self.needs_policy, self.is_trust,
            self.is_assumed_root,
        ):  # fmt: skip
            yield Stage(same, partition, must or trust, trust, assumed, self.is_otherwise_allowed)


class Verdict(NamedTuple):
    """layer : one that decides; deciders : all, in the order of EVAL-1; none while undetermined."""

    decision: DecisionCode
    layer: Layer = Layer.NONE
    deciders: tuple[Layer, ...] = ()


UNDETERMINED = Verdict(DecisionCode.UNDETERMINED)


class Rules(NamedTuple):
    """Options that change the rules (iamtables/options.py)."""

    is_boundary_bypassed: bool
    is_account_assumed: bool
    """EVAL-44: a policy that is needed and not given counts as one for the account."""


def judge(must: int, may: int, facts: Facts, rules: Rules) -> Verdict:
    """The verdict over every way in which unknown facts may turn out (architecture, section 3).

    must, may : words of signals that certainly, and that could, be given
    """
    verdicts = [_of_stage(must, may, stage, facts, rules) for stage in facts.stages()]
    if any(v.decision is not verdicts[0].decision for v in verdicts):
        return UNDETERMINED
    return verdicts[0]


def _of_stage(must: int, may: int, stage: Stage, facts: Facts, rules: Rules) -> Verdict:
    must, may = seen(must, may, stage, facts, rules)
    if not denies(may):
        verdict = _by_rules(must, stage, facts, rules)
        if verdict.decision is DecisionCode.ALLOW:
            return verdict
    denying = denies(must)
    if denying:  # EVAL-15
        return Verdict(DecisionCode.EXPLICIT_DENY, denying[0], denying)
    verdict = _by_rules(may, stage, facts, rules)
    return UNDETERMINED if verdict.decision is DecisionCode.ALLOW else verdict


def seen(must: int, may: int, stage: Stage, facts: Facts, rules: Rules) -> tuple[int, int]:
    """The signals that count in a stage (EVAL-6, EVAL-16, EVAL-44)."""
    hidden = 0
    if facts.is_root and stage.is_same_account and facts.is_bucket_policy:
        hidden |= 1 << Signal.DENY_RESOURCE
    if facts.is_root and not stage.is_assumed_root:
        hidden |= 1 << Signal.DENY_SESSION
    must, may = must & ~hidden, may & ~hidden
    if (
        rules.is_account_assumed
        and not facts.has_policy
        and stage.needs_policy
        and stage.is_same_account
    ):
        must, may = must | 1 << Signal.ACCOUNT, may | 1 << Signal.ACCOUNT
    return must, may


def denies(signals: int) -> tuple[Layer, ...]:
    return tuple(layer for layer, signal in DENIES.items() if signals >> signal & 1)


_GATES = (Signal.IDENTITY, Signal.BOUNDARY, Signal.SESSION, Signal.VPCE, *LEVELS)


def _by_rules(signals: int, stage: Stage, facts: Facts, rules: Rules) -> Verdict:
    levels = ((1 << facts.scp_levels) - 1) << Signal.SCP
    gates = [bool(signals >> signal & 1) for signal in _GATES]
    allows = Allows._make([*gates, signals & levels == levels])
    paths, blocked = paths_and_gates(
        facts.asker, stage, allows, is_boundary_bypassed=rules.is_boundary_bypassed
    )
    if blocked:
        missing = tuple(sorted(set(blocked)))
        return Verdict(DecisionCode.IMPLICIT_DENY, missing[0], missing)
    return Verdict(DecisionCode.ALLOW, paths[0], tuple(sorted(paths)))
