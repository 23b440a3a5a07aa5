"""Syntax trees to IR: what each element means, decided once per distinct text.

The faults the parser went past (lenient mode) become flags here: a statement with a fault never
matches more than *unknown*, or never, as the options say (docs/design/three-valued.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from ..grammar import parse_pattern
from ..grammar.tree import (
    PatternToken,
    PolicyDocument,
    PolicyType,
    PrincipalElement,
    Run,
    Star,
    StatementNode,
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
    WILD_BYTE,
    Effect,
    Layer,
    PrincipalKind,
    SetOperator,
    Token,
)
from ..runtime.keys import key_kind
from . import ir
from .encoding import encode_glob, encode_point_text
from .reach import settle_reach, settle_text
from .statements import StatementLowering

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

_ANY, _STAR = bytes([WILD_BYTE + Token.ANY]), bytes([WILD_BYTE + Token.STAR])
_VARIABLE = bytes([WILD_BYTE + Token.VARIABLE])
_COLONS = 5
"""Colons of an ARN that separate its segments."""

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Hash-consing: equal items get the same id, ids are in order of first sight."""

    __slots__ = ("ids",)

    def __init__(self) -> None:
        self.ids: dict[T, int] = {}

    def id(self, item: T) -> int:
        return self.ids.setdefault(item, len(self.ids))

    def items(self) -> tuple[T, ...]:
        return tuple(self.ids)


class _Known(dict[T, int]):
    """Ids of what was lowered before; a look-up of these costs no call in Python."""

    __slots__ = ("_lower",)

    def __init__(self, lower: Callable[[T], int]) -> None:
        self._lower = lower

    def __missing__(self, item: T) -> int:
        found = self[item] = self._lower(item)
        return found


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
        lowering._key_ids[name]
    return lowering.run(documents)


def fold_action(text: str) -> str:
    """Actions compare without regard to ASCII case, and to no other (ACT-1)."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


class _Lowering:
    def __init__(self, options: Options, interface_endpoints: Collection[int] = ()) -> None:
        self.options = options
        self._interface_endpoints = interface_endpoints
        self.keys: Interned[ir.Key] = Interned()
        self.action_patterns: Interned[str] = Interned()
        self.resource_patterns: list[ir.ResourcePattern] = []
        self.action_sets: Interned[ir.PatternSet] = Interned()
        self.resource_sets: Interned[ir.PatternSet] = Interned()
        self.predicates: Interned[ir.Predicate] = Interned()
        self.principals: Interned[ir.PrincipalElement] = Interned()
        self._actions = _Known(self._action_pattern)
        self._key_ids = _Known(self._key)
        self._pattern_ids: dict[bytes | tuple[bytes, tuple[ir.Variable, ...]], int] = {}
        self._lowerings: dict[tuple[PolicyType, bool], StatementLowering] = {}
        self._spans = options.resource_glob == "span"
        self._fault_flags = FLAG_NEVER if options.invalid_statement == "never" else FLAG_UNKNOWN

    def run(self, documents: Iterable[PolicyDocument]) -> ir.Program:
        parts: list[ir.Document] = []
        statements: list[ir.Statement] = []
        for number, document in enumerate(documents):
            parts.append(
                ir.Document(document.source, document.version, len(document.diagnostics))
            )
            if document.is_unreadable:
                statements.append(self._unreadable_document(number, document))
            nodes: Iterable[StatementNode] = document.statements
            if document.is_faulty:  # what its version means for a statement is not known
                nodes = [
                    replace(n, conditions=(), faults=n.faults | {"resource"}) for n in nodes
                ]
            of_kind = self._statements_of(document.policy_type, document.has_variables)
            statements += of_kind.lower(number, nodes)
        return ir.Program(
            self.options,
            tuple(parts),
            self.keys.items(),
            tuple(map(ir.ActionPattern, self.action_patterns.items())),
            tuple(self.resource_patterns),
            self.action_sets.items(),
            self.resource_sets.items(),
            self.predicates.items(),
            self.principals.items(),
            tuple(statements),
        )

    def _statements_of(self, policy_type: PolicyType, has_variables: bool) -> StatementLowering:
        """What lowers the statements of documents of this kind."""
        known = self._lowerings.get((policy_type, has_variables))
        if known is None:
            layer = _LAYERS[policy_type]
            is_carried = layer in (Layer.RESOURCE, Layer.VPCE)
            known = self._lowerings[policy_type, has_variables] = StatementLowering(
                layer,
                policy_type,
                self._fault_flags,
                self._actions,
                _Known(partial(self._resource_pattern, has_variables, is_carried)),
                _Known(partial(self._predicate, has_variables)),
                self.action_sets.ids,
                self.resource_sets.ids,
                partial(self._principal, policy_type) if policy_type in _HAVE_PRINCIPALS else None,
            )
        return known

    def _unreadable_document(self, number: int, document: PolicyDocument) -> ir.Statement:
        """A document whose `Statement` could not be read may say anything."""
        span = document.span
        principal = -1
        if document.policy_type in _HAVE_PRINCIPALS:
            principal = self.principals.id(ir.PrincipalElement(PRINCIPAL_UNREADABLE, ()))
        return ir.Statement(
            number, 0, _LAYERS[document.policy_type], Effect.UNREADABLE, "", -1, -1, principal, (),
            self._fault_flags, span, span, span, span, span,
        )  # fmt: skip

    # --- principals

    def _principal(
        self, policy_type: PolicyType, number: int, node: StatementNode, effect: Effect
    ) -> int:
        """Id of the principal element of a policy type that asks for one."""
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
                self._key_ids["aws:userid"]
            elif ":role/" in text:
                self._key_ids["aws:PrincipalArn"]
        return tuple(dict.fromkeys(entries))

    # --- patterns

    def _action_pattern(self, text: str) -> int:
        folded = fold_action(text)
        while "**" in folded:
            folded = folded.replace("**", "*")
        return self.action_patterns.id(folded)

    def _resource_pattern(self, has_variables: bool, is_carried: bool, text: str) -> int:
        """Its id, with the reach of every wildcard settled (RES-4); -1: it matches nothing.

        is_carried : the policy speaks for the resource that carries it
        """
        is_all = not text.strip("*")
        is_void = False
        encoded = _STAR
        variables: tuple[ir.Variable, ...] = ()
        if not is_all and has_variables and "${" in text:
            tokens = parse_pattern(text, variables=True)
            if self._has_literal_variable(tokens):
                return -1
            encoded, variables = self._encode(tokens, globs=True)
            is_void = is_carried and encoded.count(b":") < _COLONS and _STAR not in encoded
            encoded = settle_reach(encoded, self._spans)
        elif not is_all:
            is_void = is_carried and text.count(":") < _COLONS and "*" not in text
            encoded = settle_text(text, self._spans)
        if is_void:
            return -1  # RES-7
        ids = self._pattern_ids
        count = len(ids)
        known = ids.setdefault((encoded, variables) if variables else encoded, count)
        if known == count:
            self.resource_patterns.append(ir.ResourcePattern(encoded, variables, is_all, text))
        return known

    def _has_literal_variable(self, tokens: Iterable[PatternToken]) -> bool:
        """Whether a variable stands where none does by the letter of the documentation (VAR-10)."""
        if self.options.resource_early_vars != "literal":
            return False
        colons = 0
        for token in tokens:
            if isinstance(token, Run):
                colons += token.text.count(":")
            elif isinstance(token, VariableToken):
                return colons < _COLONS  # the first one is the earliest
        return False

    def _encode(
        self, tokens: Iterable[PatternToken], *, globs: bool
    ) -> tuple[bytes, tuple[ir.Variable, ...]]:
        """Tokens as bytes; `globs` says whether `*` and `?` are wildcards there."""
        parts: list[bytes] = []
        variables: list[ir.Variable] = []
        for token in tokens:
            if isinstance(token, Run):
                parts.append(encode_point_text(token.text))
            elif isinstance(token, VariableToken):
                parts.append(_VARIABLE)
                variables.append(self._variable(token))
            elif isinstance(token, Star):
                parts.append(_STAR if globs else b"*")
            else:
                parts.append(_ANY if globs else b"?")
        return b"".join(parts), tuple(variables)

    # --- conditions

    def _predicate(
        self, has_variables: bool, entry: tuple[str, str, bool, str, tuple[str, ...]]
    ) -> int:
        prefix, base, if_exists, key, texts = entry
        variables = has_variables and base in VARIABLE_BASES
        globs = base in GLOB_BASES
        values = tuple(dict.fromkeys([self._value(text, variables, globs) for text in texts]))
        if base == "Null":  # a set prefix is accepted and ignored (COND-48)
            prefix, if_exists = "", False
        return self.predicates.id(
            ir.Predicate(_SET_OPERATORS[prefix], base, if_exists, self._key_ids[key], values))

    def _value(self, text: str, variables: bool, globs: bool) -> ir.Glyphs:
        if variables and "${" in text:
            return ir.Glyphs(*self._encode(parse_pattern(text, variables=True), globs=globs))
        return ir.Glyphs(encode_glob(text) if globs else encode_point_text(text))

    # --- shared

    def _variable(self, token: VariableToken) -> ir.Variable:
        key_id = self._key_ids[token.name] if ":" in token.name else -1  # VAR-11
        return ir.Variable(key_id, token.default)

    def _key(self, name: str) -> int:
        return self.keys.id(ir.Key(name, key_kind(name)))

