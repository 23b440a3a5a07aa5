"""One request at a time when several policy layers meet, from the objects a caller holds."""

from collections.abc import Callable, Iterable
from typing import Any, final

from .codes import Layer
from .decisions import Decision
from .layered import LayeredEngine
from .single import KeyReader
from .table import Table

@final
class Deciders:
    """Finds out, when asked, which layers decided a request: few callers do."""

    def __call__(self) -> tuple[Layer, ...]: ...

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
