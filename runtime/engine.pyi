"""What every engine knows: actions, resources and values as numbers, and states of predicates."""

from .globs import GlobSet
from .plan import Planner
from .plan_facts import EngineFacts

class Engine:
    """Caches and kernels over one table's arrays.

    `planner` answers the slow questions (runtime/plan.py): `predicate(test, value)` and
    `filled(dependent, values)`.
    """

    def __init__(self, planner: Planner, globs: GlobSet, facts: EngineFacts) -> None:
        """facts: the derived arrays of plan_facts.EngineFacts."""

    @property
    def generation(self) -> int:
        """How often the caches were dropped; ids and what was learnt from them are of one."""

    def action_id(self, text: bytes) -> int:
        """Id of an action, new or known; valid until `clear`."""

    def resource_id(self, text: bytes) -> int:
        """Id of a resource, new or known; valid until `clear`."""

    def key_id(self, key: int, text: bytes) -> int:
        """Value id of an encoded value of key number `key`."""

    def used_bytes(self) -> int:
        """Memory of the growing caches, in bytes."""

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
