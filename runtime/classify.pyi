"""Resources to classes: which resource sets each distinct text matches, found out once."""

from typing import final

from .globs import GlobSet
from .plan import Planner
from .plan_facts import EngineFacts

@final
class ResourceClasses:
    """Rows of the resources seen so far. Belongs to one engine, and so to one thread."""

    def __init__(self, planner: Planner, globs: GlobSet, facts: EngineFacts, seed: int) -> None:
        """facts: plan_facts.EngineFacts, whose arrays are borrowed."""

    def counts(self) -> dict[str, int]:
        """Distinct texts and rows, and candidates verified by the globs."""
