"""`Resource` and `NotResource` (RES-1 to RES-12, VAR-6, VAR-10).

A pattern is read into pieces, split at its own colons, and only then filled with values: a colon
that comes from a variable never ends a segment (VAR-12, VAR-10). Wildcards know whether they may
match a colon (RES-4), so one glob match over the whole ARN decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from .context import Context
from .foundations import (
    NO,
    YES,
    Match,
    RequestFault,
    any_of,
    match_of,
    negation,
    note,
    unknown,
)
from .globs import (
    Character,
    Question,
    Star,
    glob_matches,
    is_all_stars,
)
from .variables import Piece, Variable, lex, substitute, unknown_keys

SEGMENTS = 6
PADDED_ALWAYS = ("identity", "boundary", "session")
PADDED_WITH_STAR = ("resource", "trust", "vpce")


def check_resource(resource: str | None, rules: set[str] | None = None) -> str | None:
    """The request resource; None is an unknown one.

    Raises RequestFault unless it is `*` or an ARN with at least five colons (RES-12).
    """
    if resource is None or resource == "*":
        return resource
    if isinstance(resource, str) and resource.startswith("arn:") and resource.count(":") >= 5:
        return resource
    note(rules, "RES-12")
    raise RequestFault(f"resource {resource!r} is neither `*` nor an ARN")


def _segments(text: str, has_variables: bool, rules: set[str] | None = None) -> list[list[Piece]]:
    """The pieces of a pattern, split at its first five literal colons (VAR-12)."""
    segments: list[list[Piece]] = [[]]
    for piece in lex(text, has_variables=has_variables, has_wildcards=True, rules=rules):
        if isinstance(piece, Variable) and ":" in piece.name and len(segments) < SEGMENTS:
            note(rules, "VAR-12")
        if piece == Character(":") and len(segments) < SEGMENTS:
            segments.append([])
        else:
            segments[-1].append(piece)
    return segments


def _ends_with_star(segments: list[list[Piece]]) -> bool:
    return bool(segments[-1]) and isinstance(segments[-1][-1], Star)


def _has_star(segments: list[list[Piece]]) -> bool:
    return any(isinstance(piece, Star) for segment in segments for piece in segment)


def entry_is_invalid(
    text: str, policy_type: str, has_variables: bool, rules: set[str] | None = None
) -> bool:
    """Whether this entry is a fault of its statement: a short ARN in an SCP or RCP (RES-7)."""
    if policy_type not in ("scp", "rcp") or not text.startswith("arn:"):
        return False
    segments = _segments(text, has_variables)
    is_short = len(segments) < SEGMENTS
    if is_short and (policy_type == "rcp" or not _ends_with_star(segments)):
        note(rules, "RES-7")
        return True
    return False


def entry_is_void(
    text: str, policy_type: str, has_variables: bool, rules: set[str] | None = None
) -> bool:
    """Whether a rule says that this entry matches nothing, whatever the request (RES-7, RES-8)."""
    if is_all_stars(text):
        return False
    if not text.startswith("arn:"):
        note(rules, "RES-8")  # the unsubstituted text counts
        return True
    segments = _segments(text, has_variables)
    if len(segments) == SEGMENTS or _ends_with_star(segments):
        return False
    if policy_type in PADDED_WITH_STAR and not _has_star(segments):
        note(rules, "RES-7")
        return True
    return False


def _pattern(
    text: str, policy_type: str, has_variables: bool, options: dict[str, str],
    rules: set[str] | None,
) -> list[Piece]:  # fmt: skip
    """The pieces of an ARN pattern, each wildcard told whether it may match a colon."""
    segments = _segments(text, has_variables, rules)
    given_count = len(segments)
    has_final_star = _ends_with_star(segments)
    if given_count < SEGMENTS and not has_final_star:
        assert policy_type in PADDED_ALWAYS or _has_star(segments)
        note(rules, "RES-7")  # missing trailing segments count as `*`
        segments += [[Star()] for _ in range(SEGMENTS - given_count)]
    pieces: list[Piece] = []
    for index, segment in enumerate(segments):
        if index > 0:
            pieces.append(Character(":"))
        is_sixth = index == SEGMENTS - 1
        for position, piece in enumerate(segment):
            ends_segment = position == len(segment) - 1  # the very last character, as written
            ends_short_pattern = ends_segment and index == len(segments) - 1
            spans = options["resource_glob"] == "span" and ends_segment
            if isinstance(piece, Question):
                note(rules, "RES-3")
                pieces.append(Question(crosses_colon=is_sixth))
            elif isinstance(piece, Star):
                note(rules, "RES-3")
                if ends_segment and not is_sixth:
                    note(rules, "RES-4")
                pieces.append(Star(crosses_colon=is_sixth or spans or ends_short_pattern))
            else:
                pieces.append(piece)
    return pieces


def _has_early_variable(text: str, has_variables: bool) -> bool:
    """Whether a variable stands before the fifth colon (VAR-10). `${*}` and the like do not."""
    segments = _segments(text, has_variables)
    early = segments[: SEGMENTS - 1]
    return any(isinstance(piece, Variable) for segment in early for piece in segment)


def _entry_matches(
    text: str, policy_type: str, has_variables: bool, resource: str | None, context: Context,
    null_spoils: bool, options: dict[str, str], rules: set[str] | None,
) -> tuple[Match, bool]:  # fmt: skip
    """How one entry matches, and whether a null variable is why it does not."""
    if entry_is_void(text, policy_type, has_variables, rules):
        return NO, False
    if is_all_stars(text):
        note(rules, "RES-1")
        return YES, False
    pieces = _pattern(text, policy_type, has_variables, options, rules)
    keys = unknown_keys(pieces, context)
    if resource == "*" and not null_spoils:
        note(rules, "RES-2")  # matched by RES-1 only, whatever the variables are
        return NO, False
    if any(isinstance(piece, Variable) for piece in pieces):
        note(rules, "VAR-1")
    if _has_early_variable(text, has_variables):
        note(rules, "VAR-10")
        if options["resource_early_vars"] == "literal":
            return NO, False
    if resource is None:
        return unknown({"resource"} | keys), False
    if keys:
        widest = [Star() if isinstance(piece, Variable) else piece for piece in pieces]
        if not null_spoils and not glob_matches(widest, resource, rules):
            return NO, False  # whatever text the variables stand for
        return unknown(keys), False
    items = substitute(pieces, context, rules)
    if items is None:
        return NO, True  # VAR-6: the entry matches no resource
    note(rules, "RES-5")  # letters keep their case in all six fields
    return match_of(glob_matches(items, resource, rules)), False


def resource_matches(
    negated: bool, entries: Sequence[str], policy_type: str, has_variables: bool,
    resource: str | None, context: Context, options: dict[str, str],
    rules: set[str] | None = None,
) -> Match:  # fmt: skip
    """How a `Resource` (or, negated, `NotResource`) element matches the request resource.

    An unknown resource is matched by a pattern of all stars; whether it is matched by any other
    pattern that could match something is unknown.
    """
    note(rules, "RES-9")
    # VAR-6: whether a null variable in `NotResource` excludes nothing, or spoils the statement.
    null_spoils = negated and options["null_notresource"] == "nomatch"
    outcomes = [
        _entry_matches(
            text, policy_type, has_variables, resource, context, null_spoils, options, rules
        )
        for text in entries
    ]
    listed = any_of([match for match, _ in outcomes])
    if not negated:
        return listed
    match = negation(listed)
    if null_spoils and any(is_null for _, is_null in outcomes):
        note(rules, "VAR-6")
        return NO
    if resource == "*":
        note(rules, "RES-10")
    return match
