"""Reading single values out of request parameters by the paths of `cloudtrail-resources.json`.

CloudTrail writes the names of one API member in several ways (`dBInstanceIdentifier`,
`DBInstanceIdentifier`, `CreateNatGatewayRequest.SubnetId`) and EC2 wraps values that were XML as
`{"tag": 1, "content": "vpc-1"}`. Names are compared without case, lists are entered, and the one
wrapper object of EC2's newer calls is looked into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEYS = "@keys"
_MAX_VALUES = 2000


class Folded:
    """Request parameters by lower-case name; folds a level once."""

    __slots__ = ("_folded", "top")

    def __init__(self, parameters: dict[str, Any]) -> None:
        if len(parameters) == 1:
            (name, only), = parameters.items()
            if isinstance(only, dict) and name.endswith(("Request", "Req")):
                parameters = only
        self._folded: dict[int, dict[str, Any]] = {}
        self.top = parameters

    def level(self, holder: dict[str, Any]) -> dict[str, Any]:
        folded = self._folded.get(id(holder))
        if folded is None:
            folded = self._folded[id(holder)] = {
                key.lower(): value for key, value in holder.items()}
        return folded


@dataclass(frozen=True, slots=True)
class Place:
    """One path, and what must hold for it to count.

    text : `names`, `resourceId?resourceType=Parameter`, `name?!eventBusName`,
           `name?!eventBusName=default`, `requestItems.@keys`
    """

    path: tuple[str, ...]
    asked: str
    wanted: str
    is_negated: bool

    @classmethod
    def parse(cls, text: str) -> Place:
        path, _, condition = text.partition("?")
        asked, _, wanted = condition.lstrip("!").partition("=")
        return cls(tuple(name.lower() for name in path.split(".")), asked.lower(), wanted,
                   condition.startswith("!"))

    def values(self, parameters: Folded) -> list[object]:
        """What stands there, lists opened; empty when nothing does or the condition fails."""
        if self.asked and not self._holds(parameters):
            return []
        here: list[object] = [parameters.top]
        for name in self.path:
            below: list[object] = []
            for holder in here:
                if not isinstance(holder, dict):
                    continue
                if name == KEYS:
                    below += holder
                    continue
                found = parameters.level(holder).get(name)
                if isinstance(found, list):
                    below += found[:_MAX_VALUES]
                elif found is not None:
                    below.append(found)
            here = below
        return [_content(value) for value in here]

    def _holds(self, parameters: Folded) -> bool:
        found = parameters.level(parameters.top).get(self.asked)
        is_met = found == self.wanted if self.wanted else found is not None and found != ""
        return is_met != self.is_negated


def _content(value: object) -> object:
    """The text of a value that was an XML element with attributes."""
    if isinstance(value, dict) and "content" in value and set(value) <= {"tag", "content"}:
        return value["content"]
    return value
