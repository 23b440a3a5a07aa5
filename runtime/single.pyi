"""One request at a time, from the objects a caller holds."""

from typing import final

from .decisions import Decision
from .engine import Engine
from .identity import IdentityEngine
from .table import Table

class KeyReader:
    """Contexts of single requests, read into one constant column for each key of a table."""

    def __init__(
        self, engine: Engine, table: Table, kind: type[Decision], budget_bytes: int
    ) -> None:
        """kind: decisions.Decision"""

@final
class Checker(KeyReader):
    """Checks under identity policies on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    def __init__(
        self, engine: IdentityEngine, table: Table, kind: type[Decision], budget_bytes: int
    ) -> None:
        """kind: decisions.Decision"""

    def check(
        self, principal: object, action: object, resource: object, context: object
    ) -> Decision | None:
        """The Decision of one request; None where it has to be asked another way.

        principal : None, or a text, which is only kept
        resource  : None where it is not known
        context   : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
