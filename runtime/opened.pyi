"""The rows that their records leave open, settled."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .placed import PlacedEngine
from .plan_facts import EngineFacts

class OpenedEngine(PlacedEngine):
    """Settles rows that hang on more than who asks, what for, and whose the resource is."""

    fleeting_left: int
    """Resources that will not be interned, since hardly any of those before came twice."""

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""
