"""Syntax trees to IR: what each element means, decided once per distinct text.

The faults the parser went past (lenient mode) become flags here: a statement with a fault never
matches more than *unknown*, or never, as the options say (docs/design/three-valued.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

from ..grammar import parse_pattern
from ..grammar.tree import (
    ActionElement,
    ConditionEntry,
    PatternToken,
    PolicyDocument,
    PrincipalElement,
    Question,
    ResourceElement,
    Run,
    Star,
    StatementNode,
    Text,
)
from ..grammar.tree import Variable as VariableToken
from ..options import Options
from ..runtime.codes import (
    FLAG_NEVER,
    FLAG_UNKNOWN,
    GLOB_BASES,
    PRINCIPAL_GATEWAY,
    PRINCIPAL_NEGATED,
    PRINCIPAL_SHIELDED,
    PRINCIPAL_UNREADABLE,
    VARIABLE_BASES,
    Effect,
    Layer,
    PrincipalKind,
    SetOperator,
    Token,
)
from ..runtime.keys import key_kind
from . import ir

_ASCII_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}

_LAYERS = {
    "identity": Layer.IDENTITY,
    "boundary": Layer.BOUNDARY,
    "session": Layer.SESSION,
    "resource": Layer.RESOURCE,
    "trust": Layer.RESOURCE,
    "scp": Layer.SCP,
    "rcp": Layer.RCP,
    "vpce": Layer.VPCE,
}

_SET_OPERATORS = {
    "": SetOperator.PLAIN,
    "ForAllValues": SetOperator.FOR_ALL_VALUES,
    "ForAnyValue": SetOperator.FOR_ANY_VALUE,
}

_PRINCIPAL_KINDS = {
    "AWS": PrincipalKind.AWS,
    "Service": PrincipalKind.SERVICE,
    "Federated": PrincipalKind.FEDERATED,
    "CanonicalUser": PrincipalKind.CANONICAL_USER,
}

_EVERYBODY = ((PrincipalKind.AWS, "*"),)

_HAVE_PRINCIPALS = ("resource", "trust", "rcp", "vpce")

_UNIQUE_ID = re.compile(r"(?:AIDA|AROA)[A-Z0-9]+")

_ANY = ir.Glyph(Token.ANY)
_ANY_BUT_COLON = ir.Glyph(Token.ANY_BUT_COLON)
_STAR = ir.Glyph(Token.STAR)
_STAR_BUT_COLON = ir.Glyph(Token.STAR_BUT_COLON)
_COLON = ir.Glyph(Token.POINT, ord(":"))

T = TypeVar("T")


class _Points(dict[str, ir.Glyph]):
    """Glyphs of code points, made once each. A dictionary, because a character costs a look-up."""

    def __missing__(self, character: str) -> ir.Glyph:
        glyph = self[character] = ir.Glyph(Token.POINT, ord(character))
        return glyph


class Interned(Generic[T]):
    """Hash-consing: equal items get the same id, ids are in order of first sight."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[T, int] = {}

    def id(self, item: T) -> int:
        return self._ids.setdefault(item, len(self._ids))

    def items(self) -> tuple[T, ...]:
        return tuple(self._ids)


def lower_documents(
    documents: Iterable[PolicyDocument],
    options: Options,
    *,
    keys: Iterable[str] = (),
    interface_endpoints: Collection[int] = (),
) -> ir.Program:
    """All statements of all documents over shared patterns, in document order.

    keys                : context keys that are asked for whatever the documents say
    interface_endpoints : numbers of documents that are policies of endpoints which are no gateways
    """
    lowering = _Lowering(options, interface_endpoints)
    for name in keys:
        lowering.key(name)
    return lowering.run(documents)


def fold_action(text: str) -> str:
    """Actions compare without regard to ASCII case, and to no other (ACT-1)."""
    return text.translate(_ASCII_LOWER)


class _Lowering:
    def __init__(self, options: Options, interface_endpoints: Collection[int] = ()) -> None:
        self.options = options
        self._interface_endpoints = interface_endpoints
        self.keys: Interned[ir.Key] = Interned()
        self.action_patterns: Interned[ir.ActionPattern] = Interned()
        self.resource_patterns: Interned[ir.ResourcePattern] = Interned()
        self.action_sets: Interned[ir.PatternSet] = Interned()
        self.resource_sets: Interned[ir.PatternSet] = Interned()
        self.predicates: Interned[ir.Predicate] = Interned()
        self.principals: Interned[ir.PrincipalElement] = Interned()
        self._point = _Points().__getitem__
        self._variables: dict[ir.Variable, ir.Glyph] = {}
        self._action_ids: dict[str, int] = {}
        self._resource_ids: dict[tuple[str, bool, str], int] = {}

    def run(self, documents: Iterable[PolicyDocument]) -> ir.Program:
        parts: list[ir.Document] = []
        statements: list[ir.Statement] = []
        for number, document in enumerate(documents):
            parts.append(
                ir.Document(document.source, document.version, len(document.diagnostics))
            )
            if document.is_unreadable:
                statements.append(self._unreadable_document(number, document))
            for node in document.statements:
                statements.append(self._statement(number, document, node))
        return ir.Program(
            self.options,
            tuple(parts),
            self.keys.items(),
            self.action_patterns.items(),
            self.resource_patterns.items(),
            self.action_sets.items(),
            self.resource_sets.items(),
            self.predicates.items(),
            self.principals.items(),
            tuple(statements),
        )

    def _fault_flags(self) -> int:
        return FLAG_NEVER if self.options.invalid_statement == "never" else FLAG_UNKNOWN

    def _unreadable_document(self, number: int, document: PolicyDocument) -> ir.Statement:
        """A document whose `Statement` could not be read may say anything."""
        span = document.span
        principal = -1
        if document.policy_type in _HAVE_PRINCIPALS:
            principal = self.principals.id(ir.PrincipalElement(PRINCIPAL_UNREADABLE, ()))
        return ir.Statement(
            number, 0, _LAYERS[document.policy_type], Effect.UNREADABLE, "", -1, -1, principal, (),
            self._fault_flags(), span, span, span, span, span, (), (), (),
        )  # fmt: skip

    def _statement(
        self, number: int, document: PolicyDocument, node: StatementNode
    ) -> ir.Statement:
        faulty = document.is_faulty or bool(node.faults)
        action_set = resource_set = -1
        action_entries: tuple[ir.Entry, ...] = ()
        resource_entries: tuple[ir.Entry, ...] = ()
        predicate_entries: tuple[ir.Entry, ...] = ()
        action = self._readable_action(document, node)
        if action is not None:
            action_set, action_entries = self._actions(action)
        if "resource" not in node.faults and not document.is_faulty:
            if node.resource is not None and document.policy_type != "trust":
                resource_set, resource_entries = self._resources(node.resource, document)
            else:  # the resource the policy is attached to (GRAM-40, RES-11), whatever it says
                everything = self._resource_pattern("*", document)
                resource_set = self.resource_sets.id(ir.PatternSet(False, (everything,)))
        if not document.is_faulty:
            predicate_entries = tuple(
                ir.Entry(self._predicate(entry, document), entry.span)
                for entry in node.conditions
                if entry.base is not None
            )
        effect = Effect.UNREADABLE
        if node.effect is not None and "effect" not in node.faults:
            effect = Effect.ALLOW if node.effect == "Allow" else Effect.DENY
        return ir.Statement(
            document=number,
            index=node.index,
            layer=_LAYERS[document.policy_type],
            effect=effect,
            sid=node.sid.value if node.sid else "",
            action_set=action_set,
            resource_set=resource_set,
            principal=self._principal(number, document, node, effect),
            predicate_ids=tuple(dict.fromkeys(e.id for e in predicate_entries)),
            flags=self._fault_flags() if faulty else 0,
            span=node.span,
            effect_span=node.effect_span or node.span,
            action_span=node.action.span if node.action else node.span,
            resource_span=node.resource.span if node.resource else node.span,
            principal_span=node.principal.span if node.principal else node.span,
            action_entries=action_entries,
            resource_entries=resource_entries,
            predicate_entries=predicate_entries,
        )

    @staticmethod
    def _readable_action(document: PolicyDocument, node: StatementNode) -> ActionElement | None:
        """`NotAction` is not allowed in an RCP (GRAM-42), so what it means there is not known."""
        action = None if "action" in node.faults else node.action
        if action is not None and action.negated and document.policy_type == "rcp":
            return None
        return action

    # --- principals

    def _principal(
        self, number: int, document: PolicyDocument, node: StatementNode, effect: Effect
    ) -> int:
        """Id of the principal element; -1 where the policy type asks for none."""
        policy_type = document.policy_type
        if policy_type not in _HAVE_PRINCIPALS:
            return -1
        if "principal" in node.faults:
            return self.principals.id(ir.PrincipalElement(PRINCIPAL_UNREADABLE, ()))
        element = node.principal
        flags = 0
        if policy_type == "vpce" and number not in self._interface_endpoints:
            flags |= PRINCIPAL_GATEWAY
        if element is None:  # a fault of the statement, not of the element
            return self.principals.id(ir.PrincipalElement(flags, _EVERYBODY))
        if element.negated and policy_type in ("trust", "rcp"):
            # Not allowed there (GRAM-40), so what it means is not known.
            return self.principals.id(ir.PrincipalElement(PRINCIPAL_UNREADABLE, ()))
        if element.negated:
            flags |= PRINCIPAL_NEGATED
            if effect is Effect.DENY and policy_type in ("resource", "vpce"):
                flags |= PRINCIPAL_SHIELDED
        return self.principals.id(ir.PrincipalElement(flags, self._principal_entries(element)))

    def _principal_entries(
        self, element: PrincipalElement
    ) -> tuple[tuple[PrincipalKind, str], ...]:
        entries = []
        for entry in element.entries:
            if entry.is_void:
                continue
            text = entry.text.value
            entries.append((_PRINCIPAL_KINDS[entry.kind], text))
            if entry.kind != "AWS":
                continue
            if _UNIQUE_ID.fullmatch(text):  # what PRIN-10 and PRIN-4 look at
                self.key("aws:userid")
            elif ":role/" in text:
                self.key("aws:PrincipalArn")
        return tuple(dict.fromkeys(entries))

    # --- actions

    def _actions(self, element: ActionElement) -> tuple[int, tuple[ir.Entry, ...]]:
        entries = tuple(
            ir.Entry(-1 if i in element.void else self._action_pattern(text), text.span)
            for i, text in enumerate(element.entries)
        )
        ids = tuple(dict.fromkeys(e.id for e in entries if e.id >= 0))
        return self.action_sets.id(ir.PatternSet(element.negated, ids)), entries

    def _action_pattern(self, text: Text) -> int:
        known = self._action_ids.get(text.value)
        if known is None:
            folded = fold_action(text.value)
            while "**" in folded:
                folded = folded.replace("**", "*")
            known = self.action_patterns.id(ir.ActionPattern(folded))
            self._action_ids[text.value] = known
        return known

    # --- resources

    def _resources(
        self, element: ResourceElement, document: PolicyDocument
    ) -> tuple[int, tuple[ir.Entry, ...]]:
        entries = tuple(
            ir.Entry(-1 if i in element.void else self._resource_pattern(text.value, document),
                     text.span)
            for i, text in enumerate(element.entries)
        )  # fmt: skip
        ids = tuple(dict.fromkeys(e.id for e in entries if e.id >= 0))
        return self.resource_sets.id(ir.PatternSet(element.negated, ids)), entries

    def _resource_pattern(self, text: str, document: PolicyDocument) -> int:
        at = (text, document.has_variables, document.policy_type)
        known = self._resource_ids.get(at)
        if known is None:
            pattern = self._lower_resource(text, document)
            known = -1 if pattern is None else self.resource_patterns.id(pattern)
            self._resource_ids[at] = known
        return known

    def _lower_resource(self, text: str, document: PolicyDocument) -> ir.ResourcePattern | None:
        """Glyphs with the reach of every wildcard settled (RES-4); None: matches nothing."""
        tokens = parse_pattern(text, variables=document.has_variables)
        if not text.strip("*"):
            return ir.ResourcePattern((_STAR,), is_all=True, text=text)
        segment_count = 1
        for token in tokens:
            if isinstance(token, Run):
                segment_count += token.text.count(":")
        ends_in_star = isinstance(tokens[-1], Star)
        spans = self.options.resource_glob == "span"
        glyphs: list[ir.Glyph] = []
        segment = 0
        for i, token in enumerate(tokens):
            following = tokens[i + 1] if i + 1 < len(tokens) else None
            if isinstance(token, Run):
                glyphs += map(self._point, token.text)
                segment += token.text.count(":")
            elif isinstance(token, VariableToken):
                if segment < 5 and self.options.resource_early_vars == "literal":
                    return None  # VAR-10, by the letter of the documentation
                glyphs.append(self._variable(token))
            elif isinstance(token, Question):
                glyphs.append(_ANY if segment >= 5 else _ANY_BUT_COLON)
            elif isinstance(following, Star):
                continue  # `**` is `*` (GLOB-4)
            else:
                ends_segment = following is None or (
                    isinstance(following, Run) and following.text.startswith(":")
                )
                if segment >= 5 or (following is None and segment_count < 6):
                    crosses = True
                else:
                    crosses = spans and ends_segment
                glyphs.append(_STAR if crosses else _STAR_BUT_COLON)
        if segment_count < 6 and not ends_in_star:  # RES-7: missing segments count as `*`
            if _LAYERS[document.policy_type] in (Layer.RESOURCE, Layer.VPCE) and not any(
                isinstance(t, Star) for t in tokens
            ):
                return None
            for missing in range(segment_count, 6):
                glyphs += (_COLON, _STAR if spans or missing == 5 else _STAR_BUT_COLON)
        return ir.ResourcePattern(tuple(glyphs), text=text)

    # --- conditions

    def _predicate(self, entry: ConditionEntry, document: PolicyDocument) -> int:
        base = entry.base
        assert base is not None
        variables = document.has_variables and base in VARIABLE_BASES
        globs = base in GLOB_BASES
        values = tuple(
            dict.fromkeys(self._value(text.value, variables, globs) for text in entry.values)
        )
        if base == "Null":  # a set prefix is accepted and ignored (COND-48)
            predicate = ir.Predicate(
                SetOperator.PLAIN, base, False, self.key(entry.key.value), values
            )
        else:
            predicate = ir.Predicate(
                _SET_OPERATORS[entry.set_operator], base, entry.if_exists,
                self.key(entry.key.value), values,
            )  # fmt: skip
        return self.predicates.id(predicate)

    def _value(self, text: str, variables: bool, globs: bool) -> ir.Glyphs:
        if not variables and not globs:
            return tuple(map(self._point, text))
        glyphs: list[ir.Glyph] = []
        for token in parse_pattern(text, variables=variables):
            glyphs += self._value_glyphs(token, globs)
        return tuple(glyphs)

    def _value_glyphs(self, token: PatternToken, globs: bool) -> list[ir.Glyph]:
        if isinstance(token, Run):
            return list(map(self._point, token.text))
        if isinstance(token, VariableToken):
            return [self._variable(token)]
        if isinstance(token, Star):
            return [_STAR if globs else self._point("*")]
        return [_ANY if globs else self._point("?")]

    # --- shared

    def _variable(self, token: VariableToken) -> ir.Glyph:
        key_id = self.key(token.name) if ":" in token.name else -1  # VAR-11
        variable = ir.Variable(key_id, token.default)
        glyph = self._variables.get(variable)
        if glyph is None:
            glyph = self._variables[variable] = ir.Glyph(Token.VARIABLE, 0, variable)
        return glyph

    def key(self, name: str) -> int:
        return self.keys.id(ir.Key(name, key_kind(name)))
