"""What is distinct in a layered table: requesters, sides of resources, endpoints."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .lists import ListsEngine
from .plan_facts import EngineFacts

class SidesEngine(ListsEngine):
    """Caches of what is distinct in the requests of a layered table.

    `planner` (runtime/layered_plan.py) answers, once per distinct thing, `requesters`, `side`,
    `shapes`, `endpoint`, `levels` and `assumed_root`.
    """

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""

    def derive(
        self,
        requester_keys: tuple[int, ...],
        side_keys: tuple[int, ...],
        endpoint_keys: tuple[int, ...],
    ) -> None:
        """Numbers of the keys whose values may be derived from each side (CTX-3)."""

    def name_id(self, text: bytes) -> int:
        """Id of a principal, an issuer, an account or a type."""

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
