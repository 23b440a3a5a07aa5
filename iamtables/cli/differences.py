"""Comparisons, oddities and histories as text for a terminal or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .exits import printable

if TYPE_CHECKING:
    from ..compared import Comparison, Difference, Direction
    from ..history import History, Step
    from ..oddities import Oddities

_SHOWN_TEXTS = 12
_LABEL = 11

_NOTHING = {
    "no": "nothing (proved)",
    "undecided": "undecided",
}


def comparison_lines(comparison: Comparison, indent: str = "") -> Iterator[str]:
    """A comparison, one line after another."""
    for head, direction, sides in (
        ("newly allowed", comparison.gained, ("now", "before")),
        ("no longer allowed", comparison.lost, ("before", "now")),
    ):
        count = len(direction.differences) + direction.left_out
        what = _NOTHING.get(direction.verdict) or f"{count} difference{'s' * (count != 1)}"
        yield f"{indent}{head}: {what}"
        yield from _direction_lines(direction, sides, indent)


def _direction_lines(
    direction: Direction, sides: tuple[str, str], indent: str
) -> Iterator[str]:
    for number, difference in enumerate(direction.differences, 1):
        yield ""
        yield from _difference_lines(difference, f"{number}.", sides, indent)
    if direction.left_out:
        yield ""
        yield f"{indent}  and {direction.left_out} more, left out"
    for reason in direction.undecided:
        yield f"{indent}  undecided: {printable(reason)}"
    if direction.differences:
        yield ""


def _difference_lines(
    difference: Difference, number: str, sides: tuple[str, str], indent: str
) -> Iterator[str]:
    info = difference.statement
    yield f"{indent}  {number} {printable(info.label)}  {printable(str(info.location))}"
    for label, texts in (
        ("actions", difference.actions), ("resources", difference.resources),
        ("when", difference.conditions),
    ):  # fmt: skip
        yield from _listed(label, texts, indent)
    allowing, denying = sides
    yield from _listed(allowing, (difference.grounds,), indent)
    yield from _listed(denying, (difference.reason,), indent)
    yield from _listed("witness", (str(difference.witness),), indent)


def _listed(label: str, texts: Sequence[str], indent: str) -> Iterator[str]:
    for at, text in enumerate(texts[:_SHOWN_TEXTS]):
        yield f"{indent}     {label if at == 0 else '':<{_LABEL}}{printable(text)}"
    if len(texts) > _SHOWN_TEXTS:
        yield f"{indent}     {'':<{_LABEL}}and {len(texts) - _SHOWN_TEXTS} more"


def oddity_lines(oddities: Oddities) -> Iterator[str]:
    """What is odd inside policies."""
    count = len(oddities.found)
    yield f"{count or 'no'} oddit{'y' if count == 1 else 'ies'}"
    for oddity in oddities.found:
        yield ""
        yield f"{printable(oddity.statement.label)}: {printable(oddity.text)}"
        yield f"  --> {printable(str(oddity.location))}"
        for other in oddity.others:
            yield f"     {'because of':<{_LABEL}}{printable(other.label)}  {other.location}"
        if oddity.witness is not None:
            yield f"     {'matches':<{_LABEL}}{printable(str(oddity.witness))}"
    for reason in oddities.undecided:
        yield f"undecided: {printable(reason)}"


_PROMISES = {
    "held": "no permission was removed (proved)",
    "broken": "PERMISSIONS WERE REMOVED",
    "undecided": "undecided whether a permission was removed",
}


def history_lines(history: History) -> Iterator[str]:
    """The history of one policy, version by version."""
    yield printable(history.name)
    if not history.steps:
        yield f"  only {history.versions[0]}: nothing to compare"
        return
    for step in history.steps:
        yield ""
        yield f"  {_step_head(step)}"
        yield from comparison_lines(step.comparison, "    ")
    yield ""
    yield f"  in all: {_PROMISES[history.promise]}"


def _step_head(step: Step) -> str:
    head = f"{step.old} -> {step.new}"
    if step.new.date:
        head += f", {printable(step.new.date[:10])}"
    if step.missing:
        numbers = ", ".join(f"v{n}" for n in step.missing)
        them = "it" if len(step.missing) == 1 else "them"
        head += f" (no file holds {numbers}; this step spans {them})"
    return f"{head}: {_PROMISES[step.promise]}"
