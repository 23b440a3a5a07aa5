"""Parsers and parse tables made by Lark, each once, when something is parsed for the first time.

Lark itself is imported only then: opening a compiled table must not pay for a parser. Patterns and
ARNs (`pattern.lark`, `arn.lark`) are parsed by Lark, with a lexer that is one alternation of their
terminals, ordered by priority; it yields any object that has a `type` (the name of its terminal),
so most tokens are already the node that the tree will hold. Of `policy.lark` only the LALR tables
are taken: json_reader.pyx drives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, Protocol

Terminals = tuple[tuple[str, str], ...]
"""Name and regular expression of a grammar's terminals, in the order in which they are tried."""


class LexFunction(Protocol):
    """Splits `data` into tokens, by the terminals of the grammar."""

    def __call__(self, terminals: Terminals, data: Any) -> Iterator[Any]: ...


@cache
def alternation(terminals: Terminals, *, before: str = "") -> re.Pattern[str]:
    """One expression with a named group per terminal; `before` is matched in front of each."""
    choices = "|".join(f"(?P<{name}>{regex})" for name, regex in terminals)
    return re.compile(f"{before}(?:{choices})")


class Mark:
    """A token without a value: punctuation."""

    __slots__ = ("end", "start", "type")

    # Lark makes its own end token from the last one, and asks for these.
    start_pos = line = column = end_line = end_column = end_pos = None

    def __init__(self, type: str, start: int, end: int) -> None:
        self.type = type
        self.start = start
        self.end = end


@cache
def _grammar_text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


Step = tuple[Literal["shift", "reduce"], int]


class Tables(NamedTuple):
    """LALR tables of a grammar, states and rules by number."""

    actions: list[dict[str, Step]]
    """By state, of each terminal that may come: the state behind it, or the rule that ends here."""
    gotos: list[dict[int, int]]
    """By state, of each rule that may end there: the state behind its left side."""
    rules: list[tuple[str, int]]
    """Alias of a rule, or else its left side; length of its right side."""
    start: int
    accept: int


def lalr_tables(grammar: str) -> Tables:
    """The tables that Lark makes of the file `grammar`."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    lark = Lark(_grammar_text(grammar), parser="lalr", maybe_placeholders=False)
    # What `Lark.save` writes, and what Lark's own stand-alone parsers are generated from.
    data, memo = lark.memo_serialize([TerminalDef, Rule])
    table = data["parser"]["parser"]
    symbols: dict[int, str] = table["tokens"]
    made = {number: rule for number, rule in memo.items() if rule["__type__"] == "Rule"}
    numbers = {of_lark: ours for ours, of_lark in enumerate(made)}
    left = [rule["origin"]["name"] for rule in made.values()]
    actions: list[dict[str, Step]] = []
    gotos: list[dict[int, int]] = []
    states = {of_lark: ours for ours, of_lark in enumerate(table["states"])}
    for row in table["states"].values():
        action: dict[str, Step] = {}
        goto: dict[int, int] = {}
        for symbol, (is_reduction, argument) in row.items():
            name = symbols[symbol]
            if is_reduction:
                action[name] = "reduce", numbers[argument["@"]]
            elif name in left:
                goto |= {rule: states[argument] for rule, of in enumerate(left) if of == name}
            else:
                action[name] = "shift", states[argument]
        actions.append(action)
        gotos.append(goto)
    (start,) = table["start_states"].values()
    (accept,) = table["end_states"].values()
    rules = [(rule["alias"] or rule["origin"]["name"], len(rule["expansion"]))
             for rule in made.values()]
    return Tables(actions, gotos, rules, states[start], states[accept])


def make_parser(grammar: str, lex: LexFunction, actions: object) -> Any:
    """The `lark.Lark` of the file `grammar`. Its rules call the methods of `actions` of their name,
    with the list of children, while parsing: no tree is built in between."""
    from lark import Lark
    from lark.lexer import Lexer

    class OneRegexLexer(Lexer):
        __future_interface__ = 0

        def __init__(self, configuration: Any) -> None:
            terminals = sorted(configuration.terminals, key=lambda t: -t.priority)
            self.terminals = tuple((t.name, t.pattern.to_regexp()) for t in terminals)

        def lex(self, data: Any) -> Iterator[Any]:  # type: ignore[override]
            return lex(self.terminals, data)

    return Lark(
        _grammar_text(grammar),
        parser="lalr",
        lexer=OneRegexLexer,
        transformer=actions,
        propagate_positions=False,
        maybe_placeholders=False,
    )
