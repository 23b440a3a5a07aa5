"""What of an action pattern is in a region, in the reader's words: whole, or which of it."""

from __future__ import annotations

from collections.abc import Callable

from .actions import OTHER_SERVICE, Name, service_and_name
from .budget import Meter, OutOfBudget
from .classes import ActionClasses, ClassKey
from .findings import ActionPart

_EXAMPLES = 8
_EXCEPTED = 6


def action_part(
    classes: ActionClasses, pattern: int, text: str, inside: set[ClassKey], meter: Meter, *,
    negated_bit: int = 0, is_closed: bool = False,
) -> ActionPart | None:  # fmt: skip
    """The part of a pattern that is inside these classes; None for nothing.

    pattern, text : the pattern, or -1 and `*` for what a `NotAction` leaves; `negated_bit` then
                    says of a class that it does
    is_closed     : there are no actions but the world's
    """
    def counts(key: ClassKey) -> bool:
        return not negated_bit or bool(key[0] & negated_bit)

    def split(known: bool) -> tuple[list[Name], bool]:
        found = classes.matching(pattern, known=known)
        meter.note(len(found))
        return ([name for key in found if key in inside for name in found[key]],
                all(key in inside or not counts(key) for key in found))

    try:
        mine, is_whole = split(is_closed)
    except OutOfBudget:
        mine, is_whole = split(True)[0], False
    if not mine:
        return None
    if is_whole:
        return ActionPart(pattern, True)
    named = classes.sets.services

    def service_of(name: Name) -> str:
        return name.service if is_closed or name.service in named else OTHER_SERVICE

    entries: list[str] = []
    whole: set[str] = set()
    service, of_name = service_and_name(text)
    if service is None:
        try:
            whole, rest = _services(classes, pattern, inside, is_closed, counts, service_of)
        except OutOfBudget:
            rest = set()
        if OTHER_SERVICE in whole:
            excepted = sorted(rest)
            more = len(excepted) - _EXCEPTED
            entries.append(
                f"any service but {', '.join(excepted[:_EXCEPTED])}"
                + (f" and {more} more" if more > 0 else ""))
        else:
            entries += [f"{one}:{of_name}" for one in sorted(whole)]
    known = mine if is_closed else split(True)[0]
    entries += dict.fromkeys(
        name.action for name in known or mine if service_of(name) not in whole)
    return ActionPart(pattern, False, tuple(entries[:_EXAMPLES]), len(entries))


def _services(
    classes: ActionClasses, pattern: int, inside: set[ClassKey], is_closed: bool,
    counts: Callable[[ClassKey], bool], service_of: Callable[[Name], str],
) -> tuple[set[str], set[str]]:  # fmt: skip
    """Services wholly inside, and those that are not."""
    whole: dict[str, bool] = {}
    for key, names in classes.matching(pattern, known=is_closed).items():
        if counts(key):
            for name in names:
                service = service_of(name)
                whole[service] = whole.get(service, True) and key in inside
    inner = {service for service, is_in in whole.items() if is_in}
    return inner, whole.keys() - inner
