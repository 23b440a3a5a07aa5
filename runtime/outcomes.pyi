"""From signals to a decision: what the gathered Allows and Denies of a request come to."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .plan_facts import EngineFacts
from .sides import SidesEngine

class OutcomesEngine(SidesEngine):
    """Knows the truth table.

    Of `planner` it also asks `truth_row`, once per kind of requester and stage.
    """

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
