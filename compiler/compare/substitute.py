"""A program with its policy variables replaced by given values (VAR-5 to VAR-9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...runtime.codes import FLAG_NEVER, Token
from .. import ir
from .values import Value


def variable_keys(program: ir.Program, statements: frozenset[int]) -> tuple[str, ...]:
    """Lower-case names of the keys that variables of these statements stand for."""
    found: dict[str, None] = {}
    for number in sorted(statements):
        statement = program.statements[number]
        variables = [
            v for p in statement.predicate_ids for v in program.predicates[p].variables
        ]
        if statement.resource_set >= 0:
            for p in program.resource_sets[statement.resource_set].pattern_ids:
                variables += program.resource_patterns[p].variables
        for variable in variables:
            if variable.key_id >= 0:
                found[program.keys[variable.key_id].name.lower()] = None
    return tuple(found)


def has_variables(program: ir.Program, statements: frozenset[int]) -> bool:
    """Whether any variable, also one that names no key, stands in these statements."""
    for number in statements:
        statement = program.statements[number]
        if any(program.predicates[p].variables for p in statement.predicate_ids):
            return True
        if statement.resource_set >= 0 and any(
            program.resource_patterns[p].variables
            for p in program.resource_sets[statement.resource_set].pattern_ids
        ):
            return True
    return False


def substituted(program: ir.Program, values: Mapping[str, Value]) -> ir.Program:
    """The program for requests in which these keys (lower case) have these values.

    Ids stay what they are. Only statements all of whose variables are among the keys may be asked
    about.
    """
    def text_of(variable: ir.Variable) -> str | None:
        value = None
        if variable.key_id >= 0:
            value = values.get(program.keys[variable.key_id].name.lower())
        return value if isinstance(value, str) and value else variable.default  # VAR-7, VAR-8

    def filled(glyphs: ir.Glyphs) -> ir.Glyphs | None:
        out: list[ir.Glyph] = []
        for glyph in glyphs:
            if glyph.variable is None:
                out.append(glyph)
                continue
            text = text_of(glyph.variable)
            if text is None:
                return None
            out += [ir.Glyph(Token.POINT, ord(c)) for c in text]
        return ir.Glyphs.of(out)

    patterns = list(program.resource_patterns)
    null_patterns: set[int] = set()
    for number, pattern in enumerate(patterns):
        if pattern.variables:
            glyphs = filled(pattern.glyphs)
            if glyphs is None:
                null_patterns.add(number)
            else:
                patterns[number] = pattern._replace(
                    encoded=glyphs.encoded, variables=glyphs.variables)
    sets = list(program.resource_sets)
    spoiled: set[int] = set()
    for number, resource_set in enumerate(sets):
        if null_patterns.intersection(resource_set.pattern_ids):  # VAR-6
            kept = tuple(p for p in resource_set.pattern_ids if p not in null_patterns)
            sets[number] = resource_set._replace(pattern_ids=kept)
            if resource_set.negated and program.options.null_notresource == "nomatch":
                spoiled.add(number)
    predicates = list(program.predicates)
    for number, predicate in enumerate(predicates):
        if predicate.variables:
            resolved = (filled(value) for value in predicate.values)
            predicates[number] = replace(
                predicate, values=tuple(v for v in resolved if v is not None)  # COND-29
            )
    return replace(
        program,
        resource_patterns=tuple(patterns),
        resource_sets=tuple(sets),
        predicates=tuple(predicates),
        statements=tuple(
            s._replace(flags=s.flags | FLAG_NEVER) if s.resource_set in spoiled else s
            for s in program.statements
        ),
    )
