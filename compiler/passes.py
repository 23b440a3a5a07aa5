"""Passes IR to IR. Each is exact: it changes no answer, for known and for unknown requests.

- `drop_subsumed_patterns`: in a set, a pattern that another of the set contains says nothing new.
- `fold_constant_predicates`: a predicate that is true or false for every value of its key goes
  away, or makes its statement dead.
- `mark_dead_statements`: a statement that can match no request is flagged; it stays for
  explanations and for the author, to whom it is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.codes import FLAG_NEVER, NEGATED_BASES, WILD_BYTE, SetOperator, Token
from . import ir
from .parts import PatternSets, ResourcePatterns, Statements


def optimize(program: ir.Program) -> ir.Program:
    """All passes, in order."""
    for run in (drop_subsumed_patterns, fold_constant_predicates, mark_dead_statements):
        program = run(program)
    return program


def drop_subsumed_patterns(program: ir.Program) -> ir.Program:
    """`a*` makes `ab` and `ab*` of the same set superfluous; `*` makes everything so."""
    action_sets, resource_sets = _sets_of(program)
    texts = [text for (text,) in program.action_patterns]
    stems = {
        i: text[:-1]
        for i, text in enumerate(texts)
        if text.endswith("*") and "*" not in text[:-1] and "?" not in text
    }
    kept_actions = {
        i: _kept_actions(texts, stems, action_sets.patterns_of(i))
        for i in action_sets.of_several()
    }
    kept_resources = {
        i: _kept_resources(program, resource_sets.patterns_of(i))
        for i in resource_sets.of_several()
    }
    return replace(
        program,
        action_sets=action_sets.with_patterns(kept_actions),
        resource_sets=resource_sets.with_patterns(kept_resources),
    )


def _sets_of(program: ir.Program) -> tuple[PatternSets, PatternSets]:
    """The action and resource sets of a program as lowering gives it."""
    assert isinstance(program.action_sets, PatternSets)
    assert isinstance(program.resource_sets, PatternSets)
    return program.action_sets, program.resource_sets


def _statements_of(program: ir.Program) -> Statements:
    assert isinstance(program.statements, Statements)
    return program.statements


def _patterns_of(program: ir.Program) -> ResourcePatterns:
    assert isinstance(program.resource_patterns, ResourcePatterns)
    return program.resource_patterns


def _kept_actions(
    texts: Sequence[str], stem_of: Mapping[int, str], patterns: tuple[int, ...]
) -> tuple[int, ...]:
    """stem_of : the text before the `*` of the patterns that end in their only wildcard"""
    heads = {i: stem_of[i] for i in patterns if i in stem_of}
    if not heads:
        return patterns
    stems: list[str] = []  # those that no other begins
    for stem in sorted(heads.values()):
        if not stems or not stem.startswith(stems[-1]):
            stems.append(stem)
    whole, leading = set(stems), tuple(stems)
    return tuple(
        i
        for i in patterns
        if heads.get(i) in whole or not texts[i].startswith(leading)
    )


def _kept_resources(program: ir.Program, pattern_ids: tuple[int, ...]) -> tuple[int, ...]:
    patterns = {i: program.resource_patterns[i] for i in pattern_ids}
    everything = [i for i, p in patterns.items() if p.is_all]
    if everything:
        return (everything[0],)
    heads = {i: p.encoded[:-1] for i, p in patterns.items() if _is_prefix(p)}
    if not heads:
        return pattern_ids
    whole, leading = set(heads.values()), tuple(heads.values())
    return tuple(
        i
        for i, p in patterns.items()
        # A null variable can spoil a statement (VAR-6), so such a pattern always counts.
        if p.variables
        or not p.encoded.startswith(leading)
        or (i in heads and not _begins_otherwise(heads[i], whole))
    )


def _begins_otherwise(head: bytes, heads: set[bytes]) -> bool:
    """Whether one of the heads is a shorter one that this head begins with."""
    return any(head[:size] in heads for size in range(len(head)))


def _is_prefix(pattern: ir.ResourcePattern) -> bool:
    """Literal characters, then one `*` that may match anything."""
    return _PREFIX.fullmatch(pattern.encoded) is not None


_PREFIX = re.compile(b"[^%c-\xff]*+%c" % (WILD_BYTE, WILD_BYTE + Token.STAR))


def fold_constant_predicates(program: ir.Program) -> ir.Program:
    """Statements without their always-true predicates; an always-false one makes them dead."""
    constants = {
        i: constant
        for i, predicate in enumerate(program.predicates)
        if (constant := constant_value(predicate)) is not None
    }
    if not constants:
        return program
    is_true = np.array([constants.get(i) is True for i in range(len(program.predicates))])
    is_false = np.array([constants.get(i) is False for i in range(len(program.predicates))])
    statements = _statements_of(program)
    columns = statements.arrays
    predicates, start = columns["statement_predicate"], columns["statement_predicate_start"]
    of_statement = np.repeat(np.arange(len(statements)), np.diff(start))
    flags = columns["statement_flags"].copy()
    flags[of_statement[is_false[predicates]]] |= FLAG_NEVER
    is_kept = ~is_true[predicates]
    kept_start = np.zeros_like(start)
    np.cumsum(np.bincount(of_statement[is_kept], minlength=len(statements)), out=kept_start[1:])
    return replace(program, statements=statements.replaced(
        statement_flags=flags, statement_predicate=predicates[is_kept],
        statement_predicate_start=kept_start))


def constant_value(predicate: ir.Predicate) -> bool | None:
    """True or False when the predicate is so for every context, an absent key included."""
    if predicate.base == "Null":
        wanted = {"".join(chr(g.point) for g in value).lower() for value in predicate.values}
        if {"true", "false"} <= wanted:
            return True
        return False if not wanted & {"true", "false"} else None
    if predicate.values or predicate.if_exists:
        return None
    if predicate.set_operator is SetOperator.FOR_ANY_VALUE:
        return None if predicate.base in NEGATED_BASES else False  # COND-8, COND-24
    if predicate.set_operator is SetOperator.PLAIN and predicate.base not in NEGATED_BASES:
        return False  # COND-8, COND-20
    return None


def mark_dead_statements(program: ir.Program) -> ir.Program:
    """Flag statements whose action or resource set is empty, or excludes everything."""
    any_action = {i for i, (text,) in enumerate(program.action_patterns) if text == "*"}
    any_resource = set(np.flatnonzero(_patterns_of(program).is_all).tolist())
    action_sets, resource_sets = _sets_of(program)
    dead_actions = _is_empty(action_sets, any_action)
    dead_resources = _is_empty(resource_sets, any_resource)
    if not dead_actions.any() and not dead_resources.any():
        return program
    statements = _statements_of(program)
    columns = statements.arrays
    is_dead = _among(columns["statement_action_set"], dead_actions)
    is_dead |= _among(columns["statement_resource_set"], dead_resources)
    flags = np.where(is_dead, columns["statement_flags"] | FLAG_NEVER, columns["statement_flags"])
    return replace(program, statements=statements.replaced(
        statement_flags=flags.astype(np.uint8)))


def _is_empty(sets: PatternSets, everything: set[int]) -> NDArray[np.bool_]:
    """everything : ids of the patterns that match all there is"""
    return np.where(sets.negated != 0, sets.holding(everything), np.diff(sets.start) == 0)


def _among(ids: NDArray[np.uint32], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[n]: whether each id is chosen; NO_ID never is."""
    return np.append(chosen, False)[np.minimum(ids, len(chosen))]
