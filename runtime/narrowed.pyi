"""What a record comes to when resource sets, and then conditions, are known."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .plan_facts import EngineFacts
from .records import RecordsEngine

class NarrowedEngine(RecordsEngine):
    """Knows what records come to for the resources and states of conditions met so far."""

    met_before: int
    """Rows that a record leaves open before it is narrowed: what is met once is not kept."""

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
