"""Statements of a layered table: for each (action, bundle) those that the action leaves."""

from .engine import Engine
from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .plan_facts import EngineFacts

class ListsEngine(Engine):
    """What actions leave of bundles. `planner` answers `action_facts` once per action."""

    def __init__(
        self, planner: LayeredPlanner, globs: GlobSet, facts: EngineFacts, layers: LayerFacts
    ) -> None:
        """layers: layered_plan.LayerFacts, whose arrays are borrowed."""

    def clear(self) -> None:
        """Drop everything learnt from data. Columns bound before hold stale ids: bind them
        again.
        """

    def counts(self) -> dict[str, int]:
        """Numbers of distinct things seen so far."""
