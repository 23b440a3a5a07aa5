"""One request at a time when several policy layers meet, from the objects a caller holds."""

from collections.abc import Callable, Iterable
from typing import Any, final

from .codes import Layer
from .decisions import Decision
from .layered import LayeredEngine
from .single import KeyReader
from .table import Table

@final
class LayeredChecker(KeyReader):
    """Checks under every layer on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    def __init__(
        self,
        engine: LayeredEngine,
        table: Table,
        kind: type[Decision],
        deciders: Callable[[Any, Any], tuple[Layer, ...]],
        derivable: Iterable[int],
        budget_bytes: int,
    ) -> None:
        """kind: decisions.Decision
        deciders  : of `last_row` and the fields of a request, gives the layers that decided
        derivable : numbers of the keys that may follow
        """

    def check(
        self, principal: object, action: object, resource: object, context: object
    ) -> Decision | None:
        """The Decision of one request; None where it has to be asked another way.

        principal : None for nobody, which is an error
        resource  : None where it is not known; its owner is what the ARN says (EVAL-3)
        context   : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
