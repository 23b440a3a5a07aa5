"""Dictionary codes to answers by their place, in one loop and without a branch."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .narrowed import NarrowedEngine
from .plan_facts import EngineFacts

class PlacedEngine(NarrowedEngine):
    """Knows where the answers of dictionary values are."""

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""

    place_limit: int
    """Most requesters that are found by the codes of their names, at most 65,535."""

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far; `placed`: rows found by their codes alone."""
