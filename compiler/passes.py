"""Passes IR to IR. Each is exact: it changes no answer, for known and for unknown requests.

- `drop_subsumed_patterns`: in a set, a pattern that another of the set contains says nothing new.
- `fold_constant_predicates`: a predicate that is true or false for every value of its key goes
  away, or makes its statement dead.
- `mark_dead_statements`: a statement that can match no request is flagged; it stays for
  explanations and for the author, to whom it is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from ..runtime.codes import FLAG_NEVER, NEGATED_BASES, WILD_BYTE, SetOperator, Token
from . import ir


def optimize(program: ir.Program) -> ir.Program:
    """All passes, in order."""
    for run in (drop_subsumed_patterns, fold_constant_predicates, mark_dead_statements):
        program = run(program)
    return program


def drop_subsumed_patterns(program: ir.Program) -> ir.Program:
    """`a*` makes `ab` and `ab*` of the same set superfluous; `*` makes everything so."""
    action_sets = tuple([
        s._replace(pattern_ids=_kept_actions(program, s)) if len(s.pattern_ids) > 1 else s
        for s in program.action_sets
    ])
    resource_sets = tuple([
        s._replace(pattern_ids=_kept_resources(program, s)) if len(s.pattern_ids) > 1 else s
        for s in program.resource_sets
    ])
    return replace(program, action_sets=action_sets, resource_sets=resource_sets)


def _kept_actions(program: ir.Program, action_set: ir.PatternSet) -> tuple[int, ...]:
    texts = {i: program.action_patterns[i].text for i in action_set.pattern_ids}
    heads = {
        i: text[:-1]
        for i, text in texts.items()
        if text.endswith("*") and "*" not in text[:-1] and "?" not in text
    }
    if not heads:
        return action_set.pattern_ids
    stems: list[str] = []  # those that no other begins
    for stem in sorted(heads.values()):
        if not stems or not stem.startswith(stems[-1]):
            stems.append(stem)
    whole, leading = set(stems), tuple(stems)
    return tuple(
        i
        for i, text in texts.items()
        if heads.get(i) in whole or not text.startswith(leading)
    )


def _kept_resources(program: ir.Program, resource_set: ir.PatternSet) -> tuple[int, ...]:
    patterns = {i: program.resource_patterns[i] for i in resource_set.pattern_ids}
    everything = [i for i, p in patterns.items() if p.is_all]
    if everything:
        return (everything[0],)
    heads = {i: p.encoded[:-1] for i, p in patterns.items() if _is_prefix(p)}
    if not heads:
        return resource_set.pattern_ids
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
    statements = tuple(
        s._replace(
            predicate_ids=tuple(i for i in s.predicate_ids if constants.get(i) is not True),
            flags=s.flags
            | (FLAG_NEVER if any(constants.get(i) is False for i in s.predicate_ids) else 0),
        )
        for s in program.statements
    )
    return replace(program, statements=statements)


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
    any_action = {i for i, p in enumerate(program.action_patterns) if p.text == "*"}
    any_resource = {i for i, p in enumerate(program.resource_patterns) if p.is_all}
    dead_actions = {i for i, s in enumerate(program.action_sets) if _is_empty(s, any_action)}
    dead_resources = {i for i, s in enumerate(program.resource_sets) if _is_empty(s, any_resource)}
    if not dead_actions and not dead_resources:
        return program
    statements = tuple(
        s._replace(flags=s.flags | FLAG_NEVER)
        if s.action_set in dead_actions or s.resource_set in dead_resources
        else s
        for s in program.statements
    )
    return replace(program, statements=statements)


def _is_empty(pattern_set: ir.PatternSet, everything: Collection[int]) -> bool:
    """everything : ids of the patterns that match all there is"""
    if pattern_set.negated:
        return any(p in everything for p in pattern_set.pattern_ids)
    return not pattern_set.pattern_ids
