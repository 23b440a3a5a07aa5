"""What who, whose and what come to before anything else of a request is known."""

from .globs import GlobSet
from .layered_plan import LayeredPlanner, LayerFacts
from .outcomes import OutcomesEngine
from .plan_facts import EngineFacts

class RecordsEngine(OutcomesEngine):
    """Knows what the questions put so far come to."""

    record_limit: int
    """Words of records, of four bytes, above which they are dropped and made again."""

    answer_limit: int
    """Most pairs of requester and question whose answers are found by their place."""

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
