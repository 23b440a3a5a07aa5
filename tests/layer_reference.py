"""The reference evaluator over whole cases, asked thousands of times about one world.

`Reference` remembers, within one world, what the reference's own functions returned for the same
arguments: documents that were read, and elements of a statement that do not depend on more of the
request than they are given here. Nothing is computed otherwise: every remembered value, and every
rule id noted on the way, comes from the function itself (`test_remembering_changes_nothing`).

It also keeps what `evaluate` does not return: the statement states of every policy type and the
outcome of every stage, by which a table's deciding layer and statement are judged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from layer_generator import LayerRequest

from iamtables.reference import UNKNOWN
from iamtables.reference import actions as _actions
from iamtables.reference import layers as _layers
from iamtables.reference import resources as _resources
from iamtables.reference import statements as _statements
from iamtables.reference.evaluate import Outcome

Place = tuple[str, str, int]
"""Layer, document name (as in `layer_generator.documents`) and index of a statement."""


class Judgement(NamedTuple):
    """What the reference says about one request."""

    outcome: Outcome
    layers: _layers.Layers | None
    """None where no policy is consulted (EVAL-11, EVAL-12)."""
    stages: list[Outcome]

    @property
    def deciders(self) -> set[str]:
        """Layers of which a table may name any as the deciding one."""
        if self.outcome.decision == "UNDETERMINED":
            return set()
        return set(self.outcome.deciders).union(*(stage.deciders for stage in self.stages))


def case_of(policies: dict[str, Any], request: LayerRequest,
            options: dict[str, str]) -> dict[str, Any]:
    """The case in the form of section 8; unknown keys hold UNKNOWN."""
    context: dict[str, Any] = dict(request.context)
    context |= dict.fromkeys(request.unknown, UNKNOWN)
    return {
        "policies": policies,
        "options": options,
        "request": {
            "principal": request.principal, "action": request.action,
            "resource": request.resource, "resource_account": request.resource_account,
            "context": context, "issuer_arn": request.issuer_arn,
            "principal_account": request.principal_account,
            "principal_type": request.principal_type,
            "principal_is_management_account": request.is_management_account,
        },
    }  # fmt: skip


# --- what a function depends on ----------------------------------------------------------------
#
# Each returns a key that is equal only if the function's value is, or None for "ask every time".
# Options are the same throughout a world; statements live as long as its memory, so their parts
# are known by identity.

def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _named_in(context: Any, texts: list[str]) -> Any:
    """The context keys that variables in these texts may name, with their values."""
    folded = "\n".join(text for text in texts if "${" in text).lower()
    if not folded:
        return None
    return tuple((k, _hashable(v)) for k, v in context._values.items() if k.lower() in folded)


def _read(policy: Any, policy_type: str) -> Any:
    return (policy, policy_type) if isinstance(policy, str) else None


def _action(negated: bool, entries: list[str], action: str) -> Any:
    return (negated, tuple(entries), action)


def _resource(negated: bool, entries: list[str], policy_type: str, has_variables: bool,
              resource: str | None, context: Any, options: dict[str, str]) -> Any:
    asked = _named_in(context, entries)
    return (negated, tuple(entries), policy_type, has_variables, resource, asked)


def _condition(entry: Any, has_variables: bool, context: Any, options: dict[str, str]) -> Any:
    spellings = tuple((k, _hashable(v)) for k, v in context._values.items()
                      if k.lower() == entry.key.lower())
    return (id(entry), spellings, _named_in(context, entry.values))


def _principal_keys(context: Any) -> Any:
    """The keys by which principals are matched (PRIN-4, PRIN-10)."""
    return tuple((k, _hashable(v)) for k, v in context._values.items()
                 if k.lower() in ("aws:userid", "aws:principalarn"))


def _levels(element: Any, requester: Any, context: Any, policy_type: str) -> Any:
    return (id(element), requester, policy_type, _principal_keys(context))


def _exception(element: Any, effect: str | None, requester: Any, context: Any,
               policy_type: str, options: dict[str, str]) -> Any:
    return (id(element), effect, requester, policy_type, _principal_keys(context))


def _action_entry(pattern: str, action: str) -> Any:
    return (pattern, action)


def _resource_entry(text: str, policy_type: str, has_variables: bool, resource: str | None,
                    context: Any, null_spoils: bool, options: dict[str, str]) -> Any:
    if "${" in text:
        return None
    return (text, policy_type, has_variables, resource, null_spoils, options["resource_glob"])


_Key = Callable[..., Any]
_IN_A_WORLD: tuple[tuple[Any, str, _Key], ...] = (
    (_statements, "read_document", _read),
    (_statements, "action_matches", _action),
    (_statements, "resource_matches", _resource),
    (_statements, "entry_matches", _condition),
    (_statements, "levels_of", _levels),
    (_statements, "not_principal_matches", _exception),
)
_EVERYWHERE: tuple[tuple[Any, str, _Key], ...] = (
    (_actions, "entry_matches", _action_entry),
    (_resources, "_entry_matches", _resource_entry),
)
_LASTING: dict[tuple[str, str], dict[Any, Any]] = {}
_MOST = 200_000
"""Entries of a lasting memory; then it starts afresh."""


def _remembering(plain: Any, key_of: _Key, memory: dict[Any, Any]) -> Any:
    def remembering(*args: Any) -> Any:
        *given, rules = args
        key = key_of(*given)
        if key is None:
            return plain(*args)
        found = memory.get(key)
        if found is None:
            if len(memory) >= _MOST:
                memory.clear()
            noted: set[str] = set()
            found = memory[key] = (plain(*given, noted), frozenset(noted))
        if rules is not None:
            rules |= found[1]
        return found[0]

    return remembering


class Reference:
    """The reference for the policies and options of one world; a context manager."""

    def __init__(self, policies: dict[str, Any], options: dict[str, str]) -> None:
        self.policies = policies
        self.options = options
        self._saved: list[tuple[Any, str, Any]] = []
        self._layers: Any = None
        self._stages: list[Outcome] = []

    def __enter__(self) -> Reference:
        for module, name, key in _IN_A_WORLD:
            self._replace(module, name, _remembering(getattr(module, name), key, {}))
        for module, name, key in _EVERYWHERE:
            memory = _LASTING.setdefault((module.__name__, name), {})
            self._replace(module, name, _remembering(getattr(module, name), key, memory))
        plain_layers, plain_stage = _layers._layers, _layers._decide_stage

        def keeping_layers(*args: Any) -> Any:
            self._layers = plain_layers(*args)
            return self._layers

        def keeping_stage(*args: Any) -> Any:
            outcome = plain_stage(*args)
            self._stages.append(outcome)
            return outcome

        self._replace(_layers, "_layers", keeping_layers)
        self._replace(_layers, "_decide_stage", keeping_stage)
        return self

    def __exit__(self, *_: object) -> None:
        for module, name, plain in reversed(self._saved):
            setattr(module, name, plain)

    def _replace(self, module: Any, name: str, function: Any) -> None:
        self._saved.append((module, name, getattr(module, name)))
        setattr(module, name, function)

    def judge(self, request: LayerRequest, rules: set[str] | None = None) -> Judgement:
        """The judgement of one request. Raises RequestFault for one that nobody can ask."""
        self._layers, self._stages = None, []
        case = case_of(self.policies, request, self.options)
        outcome = _layers.evaluate(case, rules=rules)
        is_consulted = bool(self._stages)
        return Judgement(outcome, self._layers if is_consulted else None, self._stages)


def judge(policies: dict[str, Any], request: LayerRequest, options: dict[str, str],
          rules: set[str] | None = None) -> Judgement:
    """The judgement of one request alone."""
    with Reference(policies, options) as reference:
        return reference.judge(request, rules)


def states_by_place(judgement: Judgement, policies: dict[str, Any]) -> dict[Place, Any]:
    """The statement states of every layer."""
    found: dict[Place, Any] = {}
    layers = judgement.layers
    if layers is None:
        return found
    for name in ("identity", "boundary", "session", "vpce", "resource"):
        for state in getattr(layers, name) or []:
            document = name if name == "resource" else f"{name}.{state.policy_index}"
            found[name, document, state.statement_index] = state
    for level, states in enumerate(layers.scps):
        for state in states:
            found["scp", f"scps.{level}.{state.policy_index}", state.statement_index] = state
    rcps = [f"rcps.{level}.{at}" for level, listed in enumerate(policies.get("rcps") or [])
            for at in range(len(listed))]
    for state in layers.rcps:
        found["rcp", rcps[state.policy_index], state.statement_index] = state
    return found
