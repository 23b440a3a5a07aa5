"""What can be wrong with the policy variables of a text (section 2.4)."""

from __future__ import annotations

from .findings import VAR_INACTIVE, VAR_MULTIVALUED, VAR_UNCLOSED, VAR_UNKNOWN, Findings, quoted
from .patterns import parse_pattern
from .tree import Text, Variable
from .vocabulary import MULTIVALUED_KEYS


def check_variables(text: Text, variables: bool, findings: Findings) -> None:
    """Reports variables in `text` that are not what they look like. Call it for a text that holds
    `${`, in a place where variables are allowed (VAR-1)."""
    value = text.value
    unclosed = value.rfind("${") > value.rfind("}")
    if not variables:
        if value.find("}", value.find("${")) >= 0:
            findings.add(
                VAR_INACTIVE,
                text.span,
                f"the variable in {quoted(value)} is ordinary text, since the policy's "
                "version is `2008-10-17`",
                help='write `"Version": "2012-10-17"` to make it a variable',
            )
        return
    if unclosed:
        findings.add(
            VAR_UNCLOSED,
            text.span,
            f"a `${{` in {quoted(value)} has no `}}`, so it is ordinary text",
            help="close the variable, or write the dollar as `${$}`",
        )
    for token in parse_pattern(value, variables=True):
        if not isinstance(token, Variable):
            continue
        if ":" not in token.name:
            findings.add(
                VAR_UNKNOWN,
                text.span,
                f"{quoted(token.name)} is no condition key, so the variable never has a value",
                help="write a key with its prefix, such as `${aws:username}`",
            )
        elif token.name.lower() in MULTIVALUED_KEYS:
            findings.add(
                VAR_MULTIVALUED,
                text.span,
                f"{quoted(token.name)} is multivalued, so the variable never has a value",
                help="use a single-valued key",
            )
