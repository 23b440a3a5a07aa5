"""Cells of one condition key: values that stand for all others under given predicates.

Two values that no predicate of the question tells apart are one cell. A cell has a sample value;
how a predicate answers is computed by asking it about the sample (`runtime/conditions.py`), so
nothing of section 3 of the semantics is said twice. What this module has to get right is that
*every* cell has a sample:

- text compared as text (String, Arn and Bool operators): the automaton of all patterns is walked
  until no new set of matching patterns turns up;
- numbers, instants, addresses: operands and gaps (`between.py`); base64: operands and one more;
- always: absence, an empty list, the empty string, text that is of no type.

A key that is compared in more than one of these ways is *mixed*: every way is covered by itself,
but whether two cells of different ways have a value in common is not known. Such a key has abstract
cells (a superset of what is possible) beside the sampled ones. So has a key whose predicates hold
policy variables: there an abstract predicate may be either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ...options import Options
from ...runtime.codes import BASE_CODE, KeyKind, SetOperator, State, Token
from ...runtime.conditions import Predicate, VariableTable
from ...runtime.literals import Network, read_binary, read_network
from .. import ir
from .between import address_samples, instant_samples, number_samples
from .budget import Budget, Meter, OutOfBudget
from .linear import ANY, STAR, STAR_BUT_COLON, Step, Steps, Union, literal, text_steps

Value = str | tuple[str, ...] | None
"""A value of a key: text, several texts, or absence."""

_NO_VARIABLES = VariableTable((), ())
_TEXT_BASES = {
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
    "StringLike", "StringNotLike", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Bool",
}  # fmt: skip
_ARN_SHAPE: Steps = (
    *text_steps("arn"), *(5 * (STAR_BUT_COLON, literal(ord(":")))), STAR,
)  # fmt: skip
_PER_KIND = {KeyKind.SINGLE: 1, KeyKind.MULTI: 3, KeyKind.FREE: 4}
"""Asking about a list takes that much longer; a key of no kind is asked about both."""
_UNTYPED = "x"
"""Text that is no number, instant, boolean, address, ARN or base64."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A set of values. `sample` is one of them, unless the cell is abstract.

    yes, no : bitsets over the predicates of the key: those that may hold here, those that may not
    """

    sample: Value
    yes: int
    no: int
    is_abstract: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """A set of single values inside a list, likewise."""

    sample: str
    yes: int
    no: int
    is_abstract: bool = False


@dataclass(slots=True)
class Cells:
    """All cells of one key.

    cells    : whole values, absence first where it is possible
    elements : what a list of one or more values may hold (for a key that may have several)
    """

    cells: list[Cell] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    inexact: str = ""
    """Why some cells are abstract; empty when none is."""


def cells_of(
    key: ir.Key, predicates: Sequence[ir.Predicate], options: Options, budget: Budget,
    meter: Meter,
) -> Cells:  # fmt: skip
    """The cells of a key under these predicates, all of which ask about it. Raises OutOfBudget
    for `total_steps`; cells of which there are too many are abstract instead."""
    return _Builder(key, predicates, options, budget, meter).build()


def pinned_cells(
    predicates: Sequence[ir.Predicate], options: Options, value: Value
) -> Cells:
    """The one cell of a key whose value is given."""
    asked = [_Asked(p, options) for p in predicates]
    return Cells([_cell(value, asked)])


class _Asked:
    """A predicate that can be asked about whole values and about single values of a list."""

    def __init__(self, predicate: ir.Predicate, options: Options) -> None:
        self.ir = predicate
        self.has_variables = bool(predicate.variables)
        self._empty_is_null = options.null_empty_string == "null"
        self._plain_any = options.multivalued_plain == "any"
        self.is_plain = predicate.set_operator is SetOperator.PLAIN
        values = (
            [] if self.has_variables
            else [[(int(g.token), g.point) for g in v] for v in predicate.values]
        )  # fmt: skip
        self._runtime = Predicate(
            predicate.set_operator, BASE_CODE[predicate.base], predicate.if_exists,
            predicate.key_id, values, _NO_VARIABLES, options,
        )  # fmt: skip

    def holds(self, value: Value) -> bool | None:
        """Whether the predicate holds for a whole value; None: its variables decide."""
        if self.has_variables and self._compares(value):
            return None
        return self._runtime.evaluate(value, {}) is State.YES

    def _compares(self, value: Value) -> bool:
        """Whether the policy's values are looked at at all."""
        if value is None or value == ():
            return False
        if self.is_plain:
            return isinstance(value, str) or self._plain_any
        return not (self._empty_is_null and value in ("", ("",)))

    def holds_for_element(self, text: str) -> bool | None:
        """Whether the predicate holds for a list of this value, twice."""
        return self.holds((text, text))


def _masks(answers: Iterable[bool | None]) -> tuple[int, int]:
    yes = no = 0
    for number, answer in enumerate(answers):
        if answer is not False:
            yes |= 1 << number
        if answer is not True:
            no |= 1 << number
    return yes, no


def _cell(value: Value, asked: Sequence[_Asked]) -> Cell:
    return Cell(value, *_masks(p.holds(value) for p in asked))


class _Builder:
    def __init__(
        self, key: ir.Key, predicates: Sequence[ir.Predicate], options: Options, budget: Budget,
        meter: Meter,
    ) -> None:  # fmt: skip
        self.key = key
        self.meter = meter
        self.asked = [_Asked(p, options) for p in predicates]
        self.budget = budget
        self.out = Cells()
        self._seen: set[tuple[bool, int, int]] = set()
        self._elements: set[tuple[int, int]] = set()

    def build(self) -> Cells:
        texts = self._texts()
        cost = sum(map(_cost, self.asked))
        self.meter.spend(len(texts) * cost * _PER_KIND[self.key.kind])
        is_single = self.key.kind is KeyKind.SINGLE
        is_multi = self.key.kind is KeyKind.MULTI
        self._add(_cell(None, self.asked))
        if not is_multi:
            for text in texts:
                self._add(_cell(text, self.asked))
        if not is_single:
            for text in texts:
                self._add_element(Element(
                    text, *_masks(p.holds_for_element(text) for p in self.asked)))
            self._add(_cell(("",), self.asked))
        self._add(_cell((), self.asked))
        if self.out.inexact:
            self._add_abstract(has_scalar=not is_multi, has_list=not is_single)
        return self.out

    def _add(self, cell: Cell) -> None:
        at = (cell.sample is None, cell.yes, cell.no)  # absence counts for case variants (COND-5)
        if at not in self._seen:
            self._seen.add(at)
            self.out.cells.append(cell)

    def _add_element(self, element: Element) -> None:
        if (element.yes, element.no) not in self._elements:
            self._elements.add((element.yes, element.no))
            self.out.elements.append(element)

    def _add_abstract(self, *, has_scalar: bool, has_list: bool) -> None:
        """One cell in which every predicate that compares may be either."""
        for is_list in (False, True):
            if not (has_list if is_list else has_scalar):
                continue
            yes = no = 0
            for number, asked in enumerate(self.asked):
                sample: Value = ("x", "x") if is_list else "x"
                free = asked.ir.base != "Null" and asked._compares(sample)
                answer = None if free else asked.holds(sample)
                yes |= (answer is not False) << number
                no |= (answer is not True) << number
            if is_list:
                self.out.elements.append(Element("", yes, no, True))
            else:
                self.out.cells.append(Cell("", yes, no, True))

    # --- samples

    def _texts(self) -> list[str]:
        """Single values, one at least of every cell of every way of comparing; plain ones first."""
        compared = [a for a in self.asked if a.ir.base != "Null"]
        fixed = [a for a in compared if not a.has_variables]
        texts = [a for a in fixed if a.ir.base in _TEXT_BASES]
        numbers = self._operands(fixed, "Numeric")
        instants = self._operands(fixed, "Date")
        networks = [
            network for a in fixed if a.ir.base in ("IpAddress", "NotIpAddress")
            for network in map(read_network, _plain_values(a.ir)) if network is not None
        ]  # fmt: skip
        out: list[str] = []
        ways = set()
        if texts:
            ways.add("text")
            out += self._text_samples([a.ir for a in texts])
        for name, samples in (("Numeric", number_samples), ("Date", instant_samples)):
            if any(a.ir.base.startswith(name) for a in fixed):
                ways.add(name)
                out += samples(numbers if name == "Numeric" else instants)
        if any(a.ir.base.endswith("IpAddress") for a in fixed):
            ways.add("IpAddress")
            out += _with_spellings(networks, fixed)
        if any(a.ir.base == "BinaryEquals" for a in fixed):
            ways.add("Binary")
            out += self._binary_samples(fixed)
        out += [_UNTYPED, ""]
        if any(a.has_variables for a in compared):
            self.out.inexact = "a policy variable"
        elif len(ways) > 1:
            self.out.inexact = f"`{self.key.name}` is compared as {' and as '.join(sorted(ways))}"
        if len(out) > self.budget.value_samples:
            self._gives_up("value_samples", self.budget.value_samples)
            out = out[: self.budget.value_samples]
        return list(dict.fromkeys(out))

    def _gives_up(self, limit: str, allowed: int) -> None:
        self.out.inexact = str(OutOfBudget(limit, allowed, f"`{self.key.name}`"))

    @staticmethod
    def _operands(asked: Sequence[_Asked], name: str) -> list[str]:
        return [text for a in asked if a.ir.base.startswith(name) for text in _plain_values(a.ir)]

    @staticmethod
    def _binary_samples(asked: Sequence[_Asked]) -> list[str]:
        given = [
            text for a in asked if a.ir.base == "BinaryEquals"
            for text in _plain_values(a.ir) if read_binary(text) is not None
        ]  # fmt: skip
        taken = set(given)
        fresh = next(t for t in ("AAAA", *(f"{i:04d}" for i in range(10_000))) if t not in taken)
        return [*given, fresh]

    def _text_samples(self, predicates: Sequence[ir.Predicate]) -> list[str]:
        if all(p.base == "Bool" for p in predicates):
            return ["true", "false"]
        units: dict[frozenset[Steps], None] = {}
        for predicate in predicates:
            patterns = [self._text_pattern(predicate, value) for value in predicate.values]
            units[frozenset(p for p in patterns if p is not None)] = None
            if predicate.base.startswith("Arn"):
                units[frozenset({_ARN_SHAPE})] = None
            elif predicate.base == "Bool":
                units[_BOOLEANS] = None
        patterns_of_all = {p for unit in units for p in unit}
        if all(not s.repeats and len(s.members) == 1 and not s.is_complement
               for p in patterns_of_all for s in p):
            literals = ["".join(chr(min(s.members)) for s in p) for p in patterns_of_all]
            return [*sorted(literals), _fresh(literals)]
        plain = [_filled(value) for p in predicates for value in p.values]
        return [*plain, *self._walk(Union(list(units)))]

    def _text_pattern(self, predicate: ir.Predicate, value: ir.Glyphs) -> Steps | None:
        base = predicate.base
        if base.startswith("Arn"):
            return _arn_steps(value)
        text = "".join(chr(g.point) for g in value)
        if base == "Bool" or "IgnoreCase" in base:
            steps = _ignoring_case(text)
            if steps is None:
                self.out.inexact = f"letter case of `{text}`"
                return text_steps(text)
            return steps
        if base.endswith("Like"):
            return tuple([
                literal(g.point) if g.token is Token.POINT
                else STAR if g.token is Token.STAR else ANY
                for g in value
            ])
        return text_steps(text)

    def _walk(self, union: Union) -> list[str]:
        """A text for every set of units that some text matches."""
        found: dict[int, str] = {}
        queue: list[tuple[int, str]] = [(union.start, "")]
        visited = {union.start}
        for state, text in queue:
            if text:  # the empty text is a cell of its own (COND-12)
                found.setdefault(union.accepted(state), text)
            if len(visited) > self.budget.value_states:
                self._gives_up("value_states", self.budget.value_states)
                break
            if union.is_settled(state):
                continue
            letters = union.letters(state)
            self.meter.spend(len(letters) * union.edge_cost)
            for point in letters:
                target = union.next(state, point)
                if target not in visited or not text:
                    visited.add(target)
                    queue.append((target, text + chr(point)))
        return list(found.values())


def _cost(asked: _Asked) -> int:
    """Steps of asking a predicate about one value: texts are looked up, all else is compared."""
    count = len(asked.ir.values)
    return 2 + (count // 8 if asked.ir.base.startswith(("StringEquals", "StringNotEquals"))
                else 6 * count)


def _filled(value: ir.Glyphs) -> str:
    """A value with its wildcards filled in, for the reader's sake."""
    return "".join(
        chr(g.point) if g.token is Token.POINT else "example" if g.token is Token.STAR else "x"
        for g in value
    )


def _plain_values(predicate: ir.Predicate) -> list[str]:
    return ["".join(chr(g.point) for g in value) for value in predicate.values]


def _fresh(taken: Sequence[str]) -> str:
    """A text that is none of these."""
    known = set(taken)
    text = "x"
    while text in known:
        text += "x"
    return text


def _with_spellings(networks: Sequence[Network], asked: Sequence[_Asked]) -> list[str]:
    """Addresses of all cells; single addresses of the policy as it spells them, first."""
    spelled = [
        text for a in asked if a.ir.base.endswith("IpAddress") for text in _plain_values(a.ir)
        if "/" not in text and read_network(text) is not None
    ]  # fmt: skip
    return [*spelled, *address_samples(networks)]


def _arn_steps(value: ir.Glyphs) -> Steps | None:
    """COND-61 to COND-63: wildcards stay in their component, save in the sixth."""
    out: list[Step] = []
    colons = 0
    for glyph in value:
        if glyph.token is Token.POINT:
            colons += glyph.point == ord(":")
            out.append(literal(glyph.point))
        elif glyph.token is Token.STAR:
            out.append(STAR if colons >= 5 else STAR_BUT_COLON)
        else:
            out.append(ANY if colons >= 5 else Step(frozenset({ord(":")}), True))
    starts = [glyph.point for glyph in value[:3] if glyph.token is Token.POINT]
    if colons < 5 or starts != [ord(c) for c in "arn"]:
        return None
    return tuple(out)


@lru_cache(maxsize=4096)
def _ignoring_case(text: str) -> Steps | None:
    """COND-31: all texts whose lower case is that of `text`; None where they are no row of sets.

    `str.lower` of a text is that of its characters, except that a capital sigma at the end of a
    word becomes a final one, and that `\\u0130` becomes two characters.
    """
    lowered = text.lower()
    if any(c in "\u03c3\u03c2\u0307" for c in lowered):
        return None
    if lowered.isascii():
        return tuple([Step(_ASCII_CAPITALS.get(c, frozenset({ord(c)}))) for c in lowered])
    return tuple([Step(_capitals().get(ord(c), frozenset({ord(c)}))) for c in lowered])


_ASCII_CAPITALS = {
    c: frozenset({ord(c), ord(c.upper()), *((0x212A,) if c == "k" else ())})
    for c in "abcdefghijklmnopqrstuvwxyz"
}
"""The Kelvin sign is the only other character whose lower case is an ASCII letter."""


@lru_cache(maxsize=1)
def _capitals() -> dict[int, frozenset[int]]:
    """Lower-case character -> the characters whose lower case it is, itself included."""
    groups: dict[int, set[int]] = {}
    for point in _cased_points():
        lowered = chr(point).lower()
        if len(lowered) == 1:
            groups.setdefault(ord(lowered), set()).add(point)
    return {lowered: frozenset(points) for lowered, points in groups.items()}


def _cased_points() -> Iterator[int]:
    """Code points that are a lower case, or have one (all of them lie below U+20000)."""
    for point in range(0x20000):
        character = chr(point)
        if character.lower() != character:
            yield point
            if len(character.lower()) == 1:
                yield ord(character.lower())


_BOOLEANS = frozenset(steps for word in ("true", "false") if (steps := _ignoring_case(word)))
