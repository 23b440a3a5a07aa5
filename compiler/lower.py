"""Syntax trees to IR: what each element means, decided once per distinct text.

The faults the parser went past (lenient mode) become flags here: a statement with a fault never
matches more than *unknown*, or never, as the options say (docs/design/three-valued.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable
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
from .interned import PatternTable, SetTable
from .parts import PatternSets, ResourcePatterns, Statements
from .statements import StatementColumns, StatementLowering

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
Meaning = TypeVar("Meaning")


class Interned(Generic[T]):
    """Hash-consing: equal items get the same id, ids are in order of first sight."""

    __slots__ = ("ids",)

    def __init__(self) -> None:
        self.ids: dict[T, int] = {}

    def id(self, item: T) -> int:
        return self.ids.setdefault(item, len(self.ids))

    def items(self) -> tuple[T, ...]:
        return tuple(self.ids)


class _Known(dict[T, Meaning]):
    """What was lowered before, ids as a rule; a look-up of these costs no call in Python."""

    __slots__ = ("_lower",)

    def __init__(self, lower: Callable[[T], Meaning]) -> None:
        self._lower = lower

    def __missing__(self, item: T) -> Meaning:
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
        self.resource_patterns = PatternTable(
            _Known(self._with_variables), options.resource_glob == "span")
        self.action_sets = SetTable()
        self.resource_sets = SetTable()
        self.statements = StatementColumns()
        self.predicates: Interned[ir.Predicate] = Interned()
        self.principals: Interned[ir.PrincipalElement] = Interned()
        self._actions = _Known(self._action_pattern)
        self._key_ids = _Known(self._key)
        self._lowerings: dict[tuple[PolicyType, bool], StatementLowering] = {}
        self._fault_flags = FLAG_NEVER if options.invalid_statement == "never" else FLAG_UNKNOWN

    def run(self, documents: Iterable[PolicyDocument]) -> ir.Program:
        parts: list[ir.Document] = []
        for number, document in enumerate(documents):
            parts.append(
                ir.Document(document.source, document.version, len(document.diagnostics))
            )
            of_kind = self._statements_of(document.policy_type, document.has_variables)
            if document.is_unreadable:
                of_kind.lower_unreadable(
                    number, document.span, self._unreadable_principal(document.policy_type))
            nodes: Iterable[StatementNode] = document.statements
            if document.is_faulty:  # what its version means for a statement is not known
                nodes = [node.spoiled("resource") for node in nodes]
            of_kind.lower(number, nodes)
        return ir.Program(
            self.options,
            tuple(parts),
            self.keys.items(),
            tuple(map(ir.ActionPattern, self.action_patterns.items())),
            ResourcePatterns(*self.resource_patterns.arrays()),
            PatternSets(*self.action_sets.arrays()),
            PatternSets(*self.resource_sets.arrays()),
            self.predicates.items(),
            self.principals.items(),
            Statements(self.statements.arrays()),
        )

    def _statements_of(self, policy_type: PolicyType, has_variables: bool) -> StatementLowering:
        """What lowers the statements of documents of this kind."""
        known = self._lowerings.get((policy_type, has_variables))
        if known is None:
            layer = _LAYERS[policy_type]
            known = self._lowerings[policy_type, has_variables] = StatementLowering(
                self.statements,
                layer,
                policy_type,
                has_variables,
                layer in (Layer.RESOURCE, Layer.VPCE),
                self._fault_flags,
                self._actions,
                self.resource_patterns,
                _Known(partial(self._predicate, has_variables)),
                self.action_sets,
                self.resource_sets,
                partial(self._principal, policy_type) if policy_type in _HAVE_PRINCIPALS else None,
            )
        return known

    def _unreadable_principal(self, policy_type: PolicyType) -> int:
        if policy_type not in _HAVE_PRINCIPALS:
            return -1
        return self.principals.id(ir.PrincipalElement(PRINCIPAL_UNREADABLE, ()))

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
        ids = self.action_patterns.ids
        return ids.setdefault(folded, len(ids))

    def _with_variables(self, text: str) -> tuple[bytes, tuple[ir.Variable, ...]] | None:
        """A resource pattern in which `${` stands, the reach of its wildcards open, and its
        variables; None: it matches nothing."""
        tokens = parse_pattern(text, variables=True)
        return None if self._has_literal_variable(tokens) else self._encode(tokens, globs=True)

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

