"""Which requests a comparison is about, as data.

The first world holds every request that the rules admit. The second holds only actions that a
catalogue lists, each on the ARNs of its templates. Either may know what plausible requests look
like, so that witnesses read well; that changes no answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol

from .linear import Steps


class Templates(Protocol):
    """ARNs that an action is checked on."""

    @property
    def key(self) -> Hashable:
        """What tells these resources from those of other actions."""

    @property
    def languages(self) -> Sequence[Steps]:
        """Automata whose union is these ARNs."""

    @property
    def typical(self) -> Sequence[Steps]:
        """The same with an ordinary partition, region and account filled in."""

    @property
    def has_star(self) -> bool:
        """Whether the action may be checked on the resource `*`."""


class World(Protocol):
    """What a comparison may know of actions and their resources."""

    @property
    def is_closed(self) -> bool:
        """Whether there are no other actions and no other resources."""

    def actions(self, service: str) -> Iterable[str]:
        """Known actions of a lower-case service, as they are spelled; all of them when closed."""

    def spelling(self, action: str) -> str | None:
        """A known action as it is spelled; None when it is not known."""

    def services(self) -> Iterable[str]:
        """Services with known actions, in lower case."""

    def templates(self, action: str) -> Templates | None:
        """Resources of an action; None when it is not known."""


class EveryRequest:
    """Every request that the rules admit, without any knowledge of what is plausible."""

    is_closed = False

    def actions(self, service: str) -> Iterable[str]:
        return ()

    def spelling(self, action: str) -> str | None:
        return None

    def services(self) -> Iterable[str]:
        return ()

    def templates(self, action: str) -> Templates | None:
        return None
