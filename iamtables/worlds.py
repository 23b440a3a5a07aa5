"""The two worlds of a comparison, made from the service catalogue.

`rules`     every request that the rules admit; the catalogue only makes witnesses plausible
`catalogue` only actions that the catalogue lists, on ARNs of their templates. An action none of
            whose resource types is required may be checked on `*` as well; one without types only
            on that.

The languages of template variables are supersets of what AWS allows (reachability.py), so "no
difference" is certain in both, and what is proved in the first holds in the second.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache, lru_cache
from typing import Literal, get_args

from .catalogue import Catalogue, load_catalogue
from .compiler.compare import Step, Steps, Templates
from .errors import RequestError
from .reachability import template_steps

WorldName = Literal["rules", "catalogue"]


class ActionTemplates:
    """Resources of one action: automata of its ARN templates, and whether `*` is one."""

    def __init__(self, arn_templates: Iterable[str], *, has_star: bool) -> None:
        self._templates = tuple(arn_templates)
        self.has_star = has_star

    @property
    def key(self) -> Hashable:
        return self._templates, self.has_star

    @property
    def languages(self) -> tuple[Steps, ...]:
        return _languages(self._templates, False)

    @property
    def typical(self) -> tuple[Steps, ...]:
        return _languages(self._templates, True)


@cache  # no more than the catalogue has
def _languages(templates: tuple[str, ...], is_typical: bool) -> tuple[Steps, ...]:
    return tuple([
        tuple([Step(*step) for step in steps])
        for template in templates for steps in template_steps(template, is_typical=is_typical)
    ])


class CatalogueWorld:
    """Actions and resources as the catalogue lists them."""

    def __init__(self, catalogue: Catalogue, *, is_closed: bool) -> None:
        self._catalogue = catalogue
        self.is_closed = is_closed
        self._known: dict[str, Templates | None] = {}

    @property
    def date(self) -> str:
        return self._catalogue.date

    def services(self) -> tuple[str, ...]:
        return self._catalogue.services

    def actions(self, service: str) -> tuple[str, ...]:
        return self._catalogue.actions_of(service)

    def spelling(self, action: str) -> str | None:
        found = self._catalogue.action(action)
        return None if found is None else found.spelling

    def templates(self, action: str) -> Templates | None:
        if action not in self._known:
            found = self._catalogue.action(action)
            self._known[action] = None if found is None else ActionTemplates(
                found.arn_templates,
                has_star=not any(kind.is_required for kind in found.resource_types))
        return self._known[action]


@lru_cache(maxsize=2)
def world(name: WorldName) -> CatalogueWorld:
    """The world of this name. Raises RequestError for any other name."""
    if name not in get_args(WorldName):
        raise RequestError(f"there is no world `{name}`", field="world",
                           help=f"choose one of: {', '.join(get_args(WorldName))}")
    return CatalogueWorld(load_catalogue(), is_closed=name == "catalogue")
