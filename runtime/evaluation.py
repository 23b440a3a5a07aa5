"""The rules by which layers are combined: section 5 of docs/spec/semantics.md, as a truth table.

`grant` reads like the pseudo-code of 5.11. A kernel does not call it: for each stage (who asks, and
the facts of 5.2) its answers over the ten bits that layers contribute are a row of 1,024 bytes,
made when the stage is first met and looked up from then on. Explicit denies come before (EVAL-2)
and are no part of the table.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .codes import DecisionCode, Layer
from .requesters import WITH_IDENTITY, RequesterKind


class Asker(IntEnum):
    """Kinds of requester that the table tells apart."""

    PRINCIPAL = 0
    """A user, a role session or a federated user."""
    ROOT = 1
    """A root user, and a canonical user, who stands for one."""
    NAMED = 2
    """A service principal or a federated provider."""
    ANONYMOUS = 3


def asker_of(kind: RequesterKind) -> Asker:
    if kind in WITH_IDENTITY:
        return Asker.PRINCIPAL
    if kind in (RequesterKind.ROOT, RequesterKind.CANONICAL_USER):
        return Asker.ROOT
    return Asker.ANONYMOUS if kind is RequesterKind.ANONYMOUS else Asker.NAMED


class Stage(NamedTuple):
    """Facts about a request that are in no policy (5.2). Bit i of a stage number is field i."""

    is_same_account: bool
    is_same_partition: bool
    needs_policy: bool
    """The resource's own policy has to allow (EVAL-40, EVAL-42)."""
    is_trust: bool
    """A role is to be assumed (EVAL-40)."""
    is_assumed_root: bool
    """Root acts through AssumeRoot (EVAL-52)."""
    is_otherwise_allowed: bool
    """The caller says that other means allow it (EVAL-45)."""

    @classmethod
    def of(cls, number: int) -> Stage:
        return cls(*(bool(number >> bit & 1) for bit in range(len(cls._fields))))

    @property
    def number(self) -> int:
        return sum(int(claim) << bit for bit, claim in enumerate(self))


STAGE_COUNT = 1 << len(Stage._fields)


class Allows(NamedTuple):
    """What the layers allow. Bit i of a row's index is field i."""

    identity: bool
    boundary: bool
    """True where none is set."""
    session: bool
    """True where none is passed, but for a federated user (EVAL-21)."""
    vpce: bool
    direct: bool
    wildcard: bool
    role: bool
    feduser: bool
    account: bool
    scp: bool
    """Every level allows (EVAL-17)."""

    @classmethod
    def of(cls, number: int) -> Allows:
        return cls(*(bool(number >> bit & 1) for bit in range(len(cls._fields))))

    @property
    def names_requester(self) -> bool:
        """Some level of a resource policy allows."""
        return self.direct or self.wildcard or self.role or self.feduser or self.account


ROW_LENGTH = 1 << len(Allows._fields)

Paths = tuple[Layer, ...]
Missing = tuple[Layer, ...]


def outcome(
    asker: Asker, stage: Stage, allows: Allows, *, is_boundary_bypassed: bool
) -> tuple[DecisionCode, Layer]:
    """ALLOW and the path that grants, or IMPLICIT_DENY and the first layer that blocks (EVAL-1).

    is_boundary_bypassed : option `trust_boundary="bypass"`
    """
    paths, blocked = paths_and_gates(
        asker, stage, allows, is_boundary_bypassed=is_boundary_bypassed
    )
    if blocked:
        return DecisionCode.IMPLICIT_DENY, min(blocked)
    return DecisionCode.ALLOW, paths[0]


def paths_and_gates(
    asker: Asker, stage: Stage, allows: Allows, *, is_boundary_bypassed: bool
) -> tuple[Paths, Missing]:
    """The paths that grant, the identity path first; and the layers that block, if any do."""
    paths, blocked = grant(asker, stage, allows, is_boundary_bypassed=is_boundary_bypassed)
    if not paths and stage.is_otherwise_allowed:
        paths, blocked = (Layer.OTHER,), ()  # EVAL-45
    if not allows.scp:
        blocked += (Layer.SCP,)  # EVAL-17
    if not allows.vpce:
        blocked += (Layer.VPCE,)  # EVAL-19
    return paths, blocked


def grant(
    asker: Asker, stage: Stage, allows: Allows, *, is_boundary_bypassed: bool
) -> tuple[Paths, Missing]:
    """The paths that grant (EVAL-71); or none, and the gates that miss their Allow (EVAL-70)."""
    if asker is Asker.PRINCIPAL:
        if stage.is_same_account:
            return _of_same_account(stage, allows, is_boundary_bypassed)
        return _across_accounts(stage, allows)
    if asker is Asker.ROOT:
        return _of_root(stage, allows)
    # EVAL-41, EVAL-55; nobody is named but by a wildcard where the caller is anonymous (EVAL-58)
    is_named = allows.wildcard or (asker is Asker.NAMED and allows.direct)
    return ((Layer.RESOURCE,), ()) if is_named else ((), (Layer.RESOURCE,))


def _shut(allows: Allows) -> Missing:
    """The gates of the identity path that are shut (EVAL-20)."""
    gates = (
        (Layer.IDENTITY, allows.identity),
        (Layer.BOUNDARY, allows.boundary),
        (Layer.SESSION, allows.session),
    )
    return tuple(layer for layer, is_open in gates if not is_open)


def _of_same_account(
    stage: Stage, allows: Allows, is_boundary_bypassed: bool
) -> tuple[Paths, Missing]:
    shut = _shut(allows)
    paths: Paths = ()
    if not shut and (not stage.needs_policy or allows.account):  # EVAL-20, EVAL-40, EVAL-42
        paths += (Layer.IDENTITY,)
    is_direct = allows.direct or allows.wildcard  # EVAL-22, EVAL-23
    if is_direct:
        is_direct = allows.boundary or not stage.is_trust or is_boundary_bypassed
    is_by_origin = allows.role or allows.feduser  # EVAL-24, EVAL-25
    if is_direct or (is_by_origin and allows.boundary and allows.session):
        paths += (Layer.RESOURCE,)
    if paths:
        return paths, ()
    if stage.needs_policy and not allows.names_requester:
        return (), (Layer.RESOURCE,)
    return (), shut or (Layer.RESOURCE,)


def _across_accounts(stage: Stage, allows: Allows) -> tuple[Paths, Missing]:
    """EVAL-30 to EVAL-33: both sides have to allow."""
    shut = _shut(allows)
    if not allows.names_requester or not stage.is_same_partition:  # EVAL-5
        shut += (Layer.RESOURCE,)
    return ((), shut) if shut else ((Layer.IDENTITY, Layer.RESOURCE), ())


def _of_root(stage: Stage, allows: Allows) -> tuple[Paths, Missing]:
    if stage.is_assumed_root and not allows.session:  # EVAL-52
        return (), (Layer.SESSION,)
    if stage.is_trust:  # EVAL-51
        return (), (Layer.SERVICE,)
    if stage.is_same_account and not stage.needs_policy:  # EVAL-50
        return (Layer.ROOT,), ()
    is_reachable = stage.is_same_account or stage.is_same_partition  # EVAL-5
    if is_reachable and (allows.direct or allows.account or allows.wildcard):  # EVAL-32, EVAL-51
        return (Layer.RESOURCE,), ()
    return (), (Layer.RESOURCE,)


@lru_cache(maxsize=2 * len(Asker) * STAGE_COUNT)
def truth_row(
    asker: int, stage: int, *, is_boundary_bypassed: bool
) -> NDArray[np.uint8]:
    """uint8[1024] by `Allows` number: decision in the low two bits, the layer above them.

    Read-only, and made once in a process: the same for every table.
    """
    row = np.empty(ROW_LENGTH, dtype=np.uint8)
    for number in range(ROW_LENGTH):
        decision, layer = outcome(
            Asker(asker), Stage.of(stage), Allows.of(number),
            is_boundary_bypassed=is_boundary_bypassed,
        )  # fmt: skip
        row[number] = int(layer) << 2 | int(decision)
    row.flags.writeable = False
    return row
