"""One request at a time when several policy layers meet, from the objects a caller holds."""

from collections.abc import Iterable, Sequence
from typing import final

from .layered import LayeredEngine
from .single import KeyReader

@final
class LayeredChecker(KeyReader):
    """Checks under every layer on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    def __init__(
        self,
        engine: LayeredEngine,
        names: Sequence[str],
        derivable: Iterable[int],
        budget_bytes: int,
    ) -> None:
        """names: of the keys, by number; derivable: numbers of those that may follow."""

    def check(
        self,
        principal: str | None,
        action: str,
        resource: str | None,
        context: dict[str, object] | None,
    ) -> int:
        """Decision | error << 8 | layer << 16 | (deciding statement + 1) << 32 of one request.

        principal : None for nobody, which is an error
        resource  : None where it is not known; its owner is what the ARN says (EVAL-3)
        context   : None, or key -> value; a value may be `conditions.UNKNOWN`

        Raises RequestError for a value that has no text form.
        """
