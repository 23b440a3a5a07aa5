"""`Condition`: operators, keys and values, and what is wrong with them (section 3)."""

from __future__ import annotations

from .findings import (
    ARN_COND_SHORT,
    COND_POLICY_VALUE,
    CONDITION_EMPTY,
    CONDITION_SHAPE,
    DATE_YEAR_OR_EPOCH,
    MULTIVALUED_PLAIN,
    OPERATOR_CASE,
    STRINGEQUALS_WILDCARD,
    UNKNOWN_OPERATOR,
    VAR_BOOL,
    Findings,
    quoted,
)
from .json_syntax import JsonArray, JsonObject, JsonScalar, JsonValue, described
from .operands import OPERAND_CHECKS, family_of
from .patterns import SEGMENT_COUNT, parse_pattern
from .tree import ConditionEntry, Question, Star, Text, Variable
from .variables import check_variables
from .vocabulary import MULTIVALUED_KEYS, OPERATORS, SPELLINGS, Operator


def read_condition(
    value: JsonValue, variables: bool, findings: Findings
) -> tuple[tuple[ConditionEntry, ...], bool]:
    """The entries of a `Condition`, and whether any part of it is faulty, which has been
    reported."""
    if not isinstance(value, JsonObject):
        _report_shape(value, "`Condition`", "an object of operators", findings)
        return (), True
    entries: list[ConditionEntry] = []
    is_faulty = False
    for name, (operator_text, keys) in value.members.items():
        operator = _read_operator(operator_text, findings)
        if not isinstance(keys, JsonObject):
            _report_shape(
                keys, f"the value of {quoted(name)}", "an object of condition keys", findings
            )
            is_faulty = True
            continue
        if operator is None:
            is_faulty = True
        for key, value_list in keys.members.values():
            values = _read_values(key, value_list, findings)
            if values is None:
                is_faulty = True
                continue
            if operator is not None:
                _check_entry(operator, key, values, value_list, variables, findings)
            entries.append(
                ConditionEntry(
                    operator_text,
                    operator.set_operator if operator else "",
                    operator.base if operator else None,
                    operator.if_exists if operator else False,
                    key,
                    values,
                    (key.start, value_list.end),
                )
            )
    return tuple(entries), is_faulty


def _report_shape(value: JsonValue, what: str, wanted: str, findings: Findings) -> None:
    findings.add(
        CONDITION_SHAPE,
        value.span,
        f"{what} must be {wanted}, not {described(value)}",
        help='a condition is `{"operator": {"key": "value"}}`',
    )


def _read_operator(text: Text, findings: Findings) -> Operator | None:
    operator = OPERATORS.get(text.value)
    if operator is not None:
        return operator
    spelling = SPELLINGS.get(text.value.lower()) if text.value.isascii() else None
    if spelling is not None:
        findings.add(
            OPERATOR_CASE,
            text.span,
            f"condition operator {quoted(text.value)} is written in another case",
            help=f"write `{spelling}`",
        )
        return OPERATORS[spelling]
    best = findings.suggest(text.value, OPERATORS)
    findings.add(
        UNKNOWN_OPERATOR,
        text.span,
        f"{quoted(text.value)} is no condition operator",
        help=f"did you mean `{best}`?"
        if best
        else "see the condition operators of the IAM User Guide",
    )
    return None


def _read_values(key: Text, value: JsonValue, findings: Findings) -> tuple[Text, ...] | None:
    """The values of one key as texts (GRAM-4, GRAM-5); None after reporting if some are no
    scalars."""
    if isinstance(value, Text):
        return (value,)
    if isinstance(value, JsonArray) and value.is_text:
        return tuple(value.items)
    values: list[Text] = []
    is_faulty = False
    for item in value.items if isinstance(value, JsonArray) else [value]:
        if isinstance(item, Text):
            values.append(item)
        elif isinstance(item, JsonScalar) and item.lexeme != "null":
            values.append(Text(item.lexeme, item.span))
        else:
            findings.add(
                CONDITION_SHAPE,
                item.span,
                f"a value of {quoted(key.value)} must be a "
                f"string, a number or a boolean, not {described(item)}",
                help='write `"key": "value"` or `"key": ["value", ...]`',
            )
            is_faulty = True
    return None if is_faulty else tuple(values)


def _check_entry(
    operator: Operator,
    key: Text,
    values: tuple[Text, ...],
    value_list: JsonValue,
    variables: bool,
    findings: Findings,
) -> None:
    base = operator.base
    if not operator.set_operator and base != "Null" and key.value.lower() in MULTIVALUED_KEYS:
        findings.add(
            MULTIVALUED_PLAIN,
            key.span,
            f"key {quoted(key.value)} is multivalued, so `{base}` alone never matches it",
            help=f"write `ForAnyValue:{base}` or `ForAllValues:{base}`",
        )
    if not values:
        always = "true" if "Not" in base else "false"
        findings.add(
            CONDITION_EMPTY,
            value_list.span,
            f"key {quoted(key.value)} has no values, so the condition is {always} "
            "whenever the key is present",
            help="list the values, or remove the key",
        )
    family = family_of(base)
    for value in values:
        _check_value(base, family, value, variables, findings)


def _check_value(base: str, family: str, value: Text, variables: bool, findings: Findings) -> None:
    text = value.value
    has_variable = False
    if "${" in text and family in ("String", "Arn", "Bool"):
        check_variables(value, variables, findings)
        has_variable = variables and any(
            isinstance(token, Variable) for token in parse_pattern(text, variables=True)
        )
    if family == "String":
        if "Equals" in base and ("*" in text or "?" in text):
            _check_equals(base, value, variables, findings)
    elif family == "Arn":
        if not has_variable and not (
            text.startswith("arn") and text.count(":") >= SEGMENT_COUNT - 1
        ):
            findings.add(
                ARN_COND_SHORT,
                value.span,
                f"{quoted(text)} is no full ARN, so `{base}` cannot compare with it",
                help="write all six segments, `arn:*:*:*:*:*` for any ARN",
            )
    elif has_variable:
        findings.add(
            VAR_BOOL,
            value.span,
            f"{quoted(text)} holds a policy variable under `Bool`",
            help="not every AWS document knows variables there; test that they work",
        )
    else:
        check, wanted, help = OPERAND_CHECKS[family]
        if not check(text):
            findings.add(
                COND_POLICY_VALUE,
                value.span,
                f"{quoted(text)} is not {wanted}, so `{base}` cannot compare with it",
                help=help,
            )
        elif family == "Date" and len(text) == 4 and text.isdigit():
            findings.add(
                DATE_YEAR_OR_EPOCH,
                value.span,
                f"`{text}` is read as seconds since 1970 and not as a year",
                help=f"write `{text}-01-01` for the year",
            )


def _check_equals(base: str, value: Text, variables: bool, findings: Findings) -> None:
    tokens = parse_pattern(value.value, variables=variables)
    if not any(isinstance(token, Star | Question) for token in tokens):
        return
    like = "StringNotLike" if "Not" in base else "StringLike"
    findings.add(
        STRINGEQUALS_WILDCARD,
        value.span,
        f"`{base}` takes the wildcard in {quoted(value.value)} as an ordinary character",
        help=f"write `{like}` for a pattern, or `${{*}}` and `${{?}}` for the characters",
    )
