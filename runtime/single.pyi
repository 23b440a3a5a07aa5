"""One request at a time, from the objects a caller holds."""

from collections.abc import Sequence
from typing import final

from .engine import Engine
from .identity import IdentityEngine

class KeyReader:
    """Contexts of single requests, read into one constant column for each key of a table."""

    def __init__(self, engine: Engine, names: Sequence[str], budget_bytes: int) -> None:
        """names: of the keys of the table, by number."""

@final
class Checker(KeyReader):
    """Checks under identity policies on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    def __init__(self, engine: IdentityEngine, names: Sequence[str], budget_bytes: int) -> None:
        """names: of the keys of the table, by number."""

    def check(
        self, action: str, resource: str | None, context: dict[str, object] | None
    ) -> int:
        """Decision | error << 8 | (deciding statement + 1) << 16 of one request.

        resource : None where it is not known
        context  : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
