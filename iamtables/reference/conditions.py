"""One condition entry: operator, key, values against the request context (section 3).

`entry_matches` is the decision of section 3.3. A comparison of one request value with one policy
value is True, False or an error (None); a null policy value makes no comparison at all (COND-29).
"""

from __future__ import annotations

from collections.abc import Sequence

from .context import MISSING, Context, Value
from .documents import ConditionEntry
from .foundations import UNKNOWN, Match, match_of, note, unknown
from .globs import Character, Item, Question, Star, canonical_runs, characters, glob_matches
from .operators import POSITIVE_OF, Operator
from .values import (
    compare_instants,
    compare_numbers,
    contains,
    read_address,
    read_boolean,
    read_bytes,
    read_instant,
    read_network,
    read_number,
)
from .variables import Piece, lex, substitute, text_of, unknown_keys

PolicyValue = list[Item] | None
"""A policy value after resolution of its variables; None if one of them is null."""


def entry_matches(
    entry: ConditionEntry, has_variables: bool, context: Context, options: dict[str, str],
    rules: set[str] | None = None,
) -> Match:  # fmt: skip
    """How one entry matches: unknown if its key, or a key that a variable names, is unknown."""
    operator = entry.operator
    lexed = [_lex_value(text, operator, has_variables, rules) for text in entry.values]
    keys = set().union(*(unknown_keys(pieces, context) for pieces in lexed))
    value = context.lookup(entry.key, rules)
    if value is UNKNOWN:
        keys.add(entry.key.lower())
    if keys:
        constant = _constant(operator, entry.values)
        return unknown(keys) if constant is None else match_of(constant)
    policy_values = [substitute(pieces, context, rules) for pieces in lexed]
    return match_of(_decide(operator, value, policy_values, options, rules))


def _constant(operator: Operator, values: Sequence[str]) -> bool | None:
    """What an entry is for every value of its key and for its absence, if it is always the same."""
    if operator.base == "Null":
        wanted = {text.lower() for text in values} & {"true", "false"}
        return None if len(wanted) == 1 else bool(wanted)
    if values or operator.if_exists or operator.is_negated:
        return None
    return None if operator.set_operator == "ForAllValues" else False  # COND-8: any of nothing


def _lex_value(
    text: str, operator: Operator, has_variables: bool, rules: set[str] | None
) -> list[Piece]:
    if not operator.has_variables:
        return list(characters(text))
    if has_variables and "${" in text:
        note(rules, "VAR-1")
        note(rules, "COND-32")
        if operator.base.startswith("Arn"):
            note(rules, "COND-62")
            note(rules, "VAR-12")
    return lex(text, has_variables=has_variables, has_wildcards=operator.has_wildcards, rules=rules)


def is_null(value: Value, options: dict[str, str], rules: set[str] | None = None) -> bool:
    """Whether the data set is null: no key, no values, or only the empty string (COND-12)."""
    if value is MISSING or value == []:
        return True
    if value == "" or value == [""]:
        note(rules, "COND-12")
        return options["null_empty_string"] == "null"
    return False


def _decide(
    operator: Operator, value: Value, policy_values: list[PolicyValue],
    options: dict[str, str], rules: set[str] | None,
) -> bool:  # fmt: skip
    if not policy_values:
        note(rules, "COND-8")  # positive: any of nothing; negated: none of nothing
    if operator.base == "Null":
        note(rules, "COND-48")  # a set prefix is ignored
        wanted = "true" if is_null(value, options, rules) else "false"
        return any(
            items is not None and text_of(items).lower() == wanted for items in policy_values
        )
    if operator.set_operator == "ForAllValues":
        if is_null(value, options, rules):
            note(rules, "COND-23")
            return True
        note(rules, "COND-25")
        return all(_one(operator, r, policy_values, rules) for r in _as_list(value, rules))
    if operator.set_operator == "ForAnyValue":
        if value is MISSING and operator.if_exists:
            note(rules, "COND-24")
            return True
        if is_null(value, options, rules):
            note(rules, "COND-24")
            return False
        note(rules, "COND-25")
        return any(_one(operator, r, policy_values, rules) for r in _as_list(value, rules))
    if value is MISSING or value == []:
        if operator.if_exists:
            note(rules, "COND-22")
            return True
        note(rules, "COND-21" if operator.is_negated else "COND-20")
        return operator.is_negated
    if isinstance(value, list):
        note(rules, "COND-26")
        if options["multivalued_plain"] == "never":
            return False
        return any(_one(operator, r, policy_values, rules) for r in value)
    assert isinstance(value, str)
    return _one(operator, value, policy_values, rules)


def _as_list(value: Value, rules: set[str] | None) -> list[str]:
    if isinstance(value, list):
        return value
    assert isinstance(value, str)
    note(rules, "COND-28")
    return [value]


def _one(
    operator: Operator, value: str, policy_values: list[PolicyValue], rules: set[str] | None
) -> bool:
    """One request value against all policy values: any of them, or none for a negation."""
    note(rules, "COND-3")
    base = POSITIVE_OF.get(operator.base, operator.base)
    comparisons: list[bool | None] = []
    for items in policy_values:
        if items is None:
            note(rules, "COND-29")  # equals nothing, and is no type error
            continue
        comparisons.append(_compare(base, value, items, rules))
    if None in comparisons:
        note(rules, "COND-27")
    if not operator.is_negated:
        return True in comparisons
    return True not in comparisons and None not in comparisons


def _compare(base: str, value: str, items: Sequence[Item], rules: set[str] | None) -> bool | None:
    """One request value and one policy value under a positive operator; None for an error."""
    if base.startswith("String"):
        return _compare_strings(base, value, items, rules)
    if base.startswith("Numeric"):
        note(rules, "COND-35")
        left, right = read_number(value, rules), read_number(text_of(items), rules)
        if left is None or right is None:
            return None
        return _order_holds(base.removeprefix("Numeric"), compare_numbers(left, right))
    if base.startswith("Date"):
        note(rules, "COND-40")
        before, after = read_instant(value, rules), read_instant(text_of(items), rules)
        if before is None or after is None:
            return None
        note(rules, "COND-43")
        return _order_holds(base.removeprefix("Date"), compare_instants(before, after))
    if base == "Bool":
        note(rules, "COND-45")
        ours, theirs = read_boolean(value), read_boolean(text_of(items))
        return None if ours is None or theirs is None else ours == theirs
    if base == "BinaryEquals":
        note(rules, "COND-50")
        data, wanted = read_bytes(value), read_bytes(text_of(items))
        return None if data is None or wanted is None else data == wanted
    if base == "IpAddress":
        return _compare_addresses(value, text_of(items), rules)
    return _compare_arns(value, items, rules)


def _compare_strings(base: str, value: str, items: Sequence[Item], rules: set[str] | None) -> bool:
    note(rules, "COND-30")
    if base == "StringLike":
        return glob_matches(canonical_runs(items, rules), value, rules)
    if base == "StringEqualsIgnoreCase":
        note(rules, "COND-31")
        return value.lower() == text_of(items).lower()
    return value == text_of(items)


def _order_holds(relation: str, order: int) -> bool:
    """Whether `order`, -1, 0 or 1 of request value and policy value, is what is asked for."""
    wanted = {
        "Equals": (0,),
        "LessThan": (-1,),
        "LessThanEquals": (-1, 0),
        "GreaterThan": (1,),
        "GreaterThanEquals": (0, 1),
    }
    return order in wanted[relation]


def _compare_addresses(value: str, text: str, rules: set[str] | None) -> bool | None:
    note(rules, "COND-55")
    address, network = read_address(value), read_network(text)
    if address is None:
        note(rules, "COND-58")
    if address is None or network is None:
        return None
    note(rules, "COND-56" if address.bits == network.bits else "COND-57")
    return contains(network, address)


def _compare_arns(value: str, items: Sequence[Item], rules: set[str] | None) -> bool | None:
    note(rules, "COND-60")
    pattern: list[list[Item]] = [[]]
    for item in items:
        # COND-62: the first five colons, whether literal text or from a substituted value.
        if item == Character(":") and len(pattern) < 6:
            pattern.append([])
        else:
            pattern[-1].append(item)
    components = value.split(":", 5)
    starts_with_arn = list(items[:3]) == characters("arn") and value.startswith("arn")
    if len(pattern) < 6 or len(components) < 6 or not starts_with_arn:
        note(rules, "COND-63")
        return None
    if any(isinstance(item, Question | Star) for item in items):
        note(rules, "COND-61")  # each component apart, so nothing crosses the first five colons
    matches = [
        glob_matches(canonical_runs(part, rules), component, rules)
        for part, component in zip(pattern, components, strict=True)
    ]
    return all(matches)
