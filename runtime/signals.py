"""What a request learns from all its policy layers, as the bits of one 64-bit word.

Two words are gathered per request, `must` (a statement certainly matches) and `may` (one could),
and the rules of section 5 are asked of them twice (docs/design/three-valued.md). The kernel of
runtime/layered.pyx has the same numbers; a test compares them.
"""

from __future__ import annotations

from enum import IntEnum

from .codes import Layer


class Signal(IntEnum):
    """Bit of a deny, or of an allow, of one layer."""

    DENY_SCP = 0
    DENY_RCP = 1
    DENY_VPCE = 2
    DENY_RESOURCE = 3
    DENY_IDENTITY = 4
    DENY_BOUNDARY = 5
    DENY_SESSION = 6
    IDENTITY = 8
    BOUNDARY = 9
    SESSION = 10
    VPCE = 11
    DIRECT = 12
    """This and the next four: levels at which a resource policy allows (PRIN-1)."""
    WILDCARD = 13
    ROLE = 14
    FEDUSER = 15
    ACCOUNT = 16
    SCP = 20
    """One bit per level, the root of the organization first."""


LEVELS = (Signal.DIRECT, Signal.WILDCARD, Signal.ROLE, Signal.FEDUSER, Signal.ACCOUNT)

MAX_SCP_LEVELS = 64 - Signal.SCP
"""AWS nests at most five OUs below the root: seven levels with root and account."""

DENIES: dict[Layer, Signal] = {
    Layer.SCP: Signal.DENY_SCP,
    Layer.RCP: Signal.DENY_RCP,
    Layer.VPCE: Signal.DENY_VPCE,
    Layer.RESOURCE: Signal.DENY_RESOURCE,
    Layer.IDENTITY: Signal.DENY_IDENTITY,
    Layer.BOUNDARY: Signal.DENY_BOUNDARY,
    Layer.SESSION: Signal.DENY_SESSION,
}
"""In the order of EVAL-1."""

NO_SIGNAL = 64
"""Stands for no bit: an Allow of an RCP grants nothing (EVAL-18)."""
LEVEL_SIGNALS = 65
"""Stands for the bits of the levels at which the principal matched."""
