"""`Action` and `NotAction` (ACT-1 to ACT-8)."""

from __future__ import annotations

from .foundations import Match, RequestFault, any_of, ascii_lower, match_of, negation, note
from .globs import canonical_runs, glob_matches, is_all_stars, wildcards


def check_action(action: str, rules: set[str] | None = None) -> str:
    """The request action. Raises RequestFault unless it is `service:Name` (ACT-8)."""
    if isinstance(action, str) and action.count(":") == 1:
        service, name = action.split(":")
        if service and name and not any(c.isspace() for c in action):
            return action
    note(rules, "ACT-8")
    raise RequestFault(f"action {action!r} is not `service:Name`")


def entry_is_void(pattern: str, rules: set[str] | None = None) -> bool:
    """Whether a rule says that this entry matches nothing (ACT-3, ACT-4)."""
    if any(c.isspace() for c in pattern):
        note(rules, "ACT-4")
        return True
    if is_all_stars(pattern):
        return False
    service, colon, name = pattern.partition(":")
    has_bad_service = not is_all_stars(service) and ("*" in service or "?" in service)
    if not colon or service == "" or name == "" or has_bad_service:
        note(rules, "ACT-3")
        return True
    return False


def entry_matches(pattern: str, action: str, rules: set[str] | None = None) -> bool:
    """Whether one listed pattern matches the request action."""
    if entry_is_void(pattern, rules):
        return False
    note(rules, "ACT-2")
    if is_all_stars(pattern):
        return True
    if "${" in pattern:
        note(rules, "ACT-7")  # variables are not recognised: ordinary characters
    service, _, name = pattern.partition(":")
    request_service, _, request_name = action.partition(":")
    if is_all_stars(service):
        note(rules, "ACT-3")  # a service part that is exactly `*` is any service
    elif ascii_lower(service) != ascii_lower(request_service):
        return False
    items = canonical_runs(wildcards(ascii_lower(name)), rules)
    if name != ascii_lower(name) or request_name != ascii_lower(request_name):
        note(rules, "ACT-1")
    return glob_matches(items, ascii_lower(request_name), rules)


def action_matches(
    negated: bool, entries: list[str], action: str, rules: set[str] | None = None
) -> Match:
    """How an `Action` (or, negated, `NotAction`) element matches the request action."""
    note(rules, "ACT-5")
    match = any_of([match_of(entry_matches(pattern, action, rules)) for pattern in entries])
    if not negated:
        return match
    note(rules, "ACT-6")  # whatever is not listed, in every service
    return negation(match)
