"""Cases of section 8: one JSON object per line, answered by the tables or by the reference.

The policies of a case are kept as raw text, so that what `json.loads` would lose (a key given
twice, the digits of a number) reaches the parser, and so that policies which repeat from case to
case are compiled once: the texts are the cache's key.

The tables decide every layer. Cases whose context keys differ in case only (COND-5) go to the
reference evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import msgspec

from ..errors import IamtablesError
from ..options import Options
from ..request_values import context_value
from ..runtime.codes import DecisionCode, KeyKind
from ..runtime.keys import key_kind

if TYPE_CHECKING:
    from ..grammar.tree import PolicyDocument, PolicyType
    from ..runtime import Session

Engine = Literal["auto", "tables", "reference"]
Result = Literal["Allowed", "ImplicitlyDenied", "ExplicitlyDenied", "Undetermined"]

_RESULTS: dict[DecisionCode, Result] = {
    DecisionCode.ALLOW: "Allowed",
    DecisionCode.IMPLICIT_DENY: "ImplicitlyDenied",
    DecisionCode.EXPLICIT_DENY: "ExplicitlyDenied",
    DecisionCode.UNDETERMINED: "Undetermined",
}

_CACHE_SIZE = 2048
_NULL = msgspec.Raw(b"null")


class _Policies(msgspec.Struct):
    identity: list[msgspec.Raw] | None = None
    boundary: list[msgspec.Raw] | None = None
    session: list[msgspec.Raw] | None = None
    resource: msgspec.Raw = _NULL
    scps: list[list[msgspec.Raw]] | None = None
    rcps: list[list[msgspec.Raw]] | None = None
    vpce: list[msgspec.Raw] | None = None
    endpoint: list[msgspec.Raw] | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two sets of policies the same: their texts."""

        def texts(documents: list[msgspec.Raw] | None) -> tuple[bytes, ...]:
            return tuple(map(bytes, documents or ()))

        return (
            texts(self.identity), texts(self.boundary), texts(self.session), bytes(self.resource),
            tuple(map(texts, self.scps or ())), tuple(map(texts, self.rcps or ())),
            texts(self.vpce or self.endpoint),
        )  # fmt: skip

    def has_resource_policy(self) -> bool:
        return bytes(self.resource) != b"null"


class _Request(msgspec.Struct):
    action: str
    principal: str
    resource: str | None
    principal_type: str | None = None
    principal_account: str | None = None
    issuer_arn: str | None = None
    principal_is_management_account: bool = False
    resource_account: str | None = None
    context: dict[str, msgspec.Raw] | None = None
    unknown: list[str] = []


class Case(msgspec.Struct):
    """One line of a case file. Fields that section 8 does not name are ignored."""

    policies: _Policies
    request: _Request
    id: str | int | None = None
    options: dict[str, str] = {}
    expect: Result | None = None
    why: str = ""


class CaseError(IamtablesError):
    """A line that is not a case, or a case that cannot be decided."""

    code = "IT060"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a case comes to. `engine` is the one that decided."""

    result: Result
    deciders: tuple[str, ...]
    engine: Literal["tables", "reference"]


def read_case(line: bytes, place: str) -> Case:
    """The case on a line. Raises CaseError naming the place when there is none."""
    try:
        return msgspec.json.decode(line, type=Case)
    except msgspec.ValidationError as error:
        raise CaseError(f"{place}: not a case: {_lower_first(str(error))}",
                        help="docs/spec/semantics.md, section 8, has the fields") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CaseError(f"{place}: not JSON: {_lower_first(str(error))}",
                        help="each line holds one JSON object") from error


def case_id(line: bytes) -> object:
    """The `id` of a line that is not a case, if it has one."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value.get("id") if isinstance(value, dict) else None


def case_lines(stream: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without blank ones."""
    for number, line in enumerate(stream, 1):
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        stripped = line.strip()
        if stripped:
            yield number, stripped


def context_of(raw: dict[str, msgspec.Raw]) -> dict[str, str | list[str] | None]:
    """Context values as text; numbers keep their digits (GRAM-5), null is absent (COND-13)."""
    return {key: context_value(bytes(value), key) for key, value in raw.items()}


class CaseRunner:
    """Answers cases; keeps compiled policies by their text."""

    def __init__(self, engine: Engine = "auto") -> None:
        if engine not in get_args(Engine):
            raise CaseError(f"`{engine}` is not an engine")
        self._engine = engine
        self._sessions: dict[tuple[Any, ...], Session | IamtablesError] = {}

    def answer(self, case: Case) -> Answer:
        """Decide one case. Raises IamtablesError when it cannot be decided."""
        context = context_of(case.request.context or {})
        if self._engine == "reference" or (self._engine == "auto" and _needs_reference(case)):
            return self._by_reference(case, context)
        return self._by_tables(case, context)

    def _by_tables(self, case: Case, context: dict[str, str | list[str] | None]) -> Answer:
        request = case.request
        _check_kinds(context)
        decision = self._session(case).check(
            action=request.action,
            resource=request.resource,
            principal=request.principal,
            context=context,
            unknown=request.unknown,
            issuer_arn=request.issuer_arn,
            principal_account=request.principal_account,
            principal_type=request.principal_type,
            resource_account=request.resource_account or None,
            is_management_account=request.principal_is_management_account,
        )
        deciders = tuple(layer.name.lower() for layer in decision.deciders)
        return Answer(_RESULTS[decision.decision], deciders, "tables")

    def _session(self, case: Case) -> Session:
        key = (case.policies.key, *sorted(case.options.items()))
        found = self._sessions.get(key)
        if found is None:
            if len(self._sessions) >= _CACHE_SIZE:
                self._sessions.clear()
            try:
                found = _compiled(case.policies, case.options)
            except IamtablesError as error:
                found = error
            self._sessions[key] = found
        if isinstance(found, IamtablesError):
            raise found
        return found

    def _by_reference(self, case: Case, context: dict[str, Any]) -> Answer:
        from ..reference import UNKNOWN, DocumentFault, RequestFault, evaluate

        def text(document: msgspec.Raw) -> str:
            return bytes(document).decode("utf-8")

        policies, request = case.policies, case.request
        def texts(documents: list[msgspec.Raw] | None) -> list[str]:
            return [text(document) for document in documents or ()]

        given: dict[str, object] = {
            "identity": texts(policies.identity),
            "boundary": texts(policies.boundary),
            "session": texts(policies.session),
            "scps": [texts(level) for level in policies.scps or ()],
            "rcps": [texts(level) for level in policies.rcps or ()],
            "vpce": texts(policies.vpce or policies.endpoint),
        }
        whole = {
            "policies": given | {
                "resource": text(policies.resource) if policies.has_resource_policy() else None,
            },
            "request": msgspec.structs.asdict(request) | {
                "context": context | dict.fromkeys(request.unknown, UNKNOWN),
            },
            "options": case.options,
        }
        try:
            outcome = evaluate(whole)
        except RequestFault as error:
            raise CaseError(f"the request cannot be decided: {error}") from error
        except DocumentFault as error:
            raise CaseError(f"a policy cannot be read: {error}") from error
        except ValueError as error:
            raise CaseError(str(error)) from error
        return Answer(cast(Result, outcome.result), outcome.deciders, "reference")


def _needs_reference(case: Case) -> bool:
    context = case.request.context or {}
    return len({key.lower() for key in context}) < len(context)


def _check_kinds(context: dict[str, str | list[str] | None]) -> None:
    """COND-11 for every key of the case; the tables look only at those the policies ask for."""
    for key, value in context.items():
        if isinstance(value, list) and len(value) > 1 and key_kind(key) is KeyKind.SINGLE:
            raise CaseError(f"`{key}` has one value, not {len(value)}")


def _compiled(policies: _Policies, options: dict[str, str]) -> Session:
    from ..compiler import compile_layers
    from ..grammar import parse_policy

    def parsed(
        texts: list[msgspec.Raw] | None, policy_type: PolicyType, name: str
    ) -> list[PolicyDocument]:
        return [
            parse_policy(bytes(text), name=f"{name}[{index}]", policy_type=policy_type)
            for index, text in enumerate(texts or ())
        ]

    resource = None
    if policies.has_resource_policy():
        resource = parse_policy(bytes(policies.resource), name="resource", policy_type="resource")
    return compile_layers(
        identity=parsed(policies.identity, "identity", "identity"),
        resource=resource,
        boundary=parsed(policies.boundary, "boundary", "boundary"),
        session=parsed(policies.session, "session", "session"),
        scps=[parsed(level, "scp", f"scps[{n}]") for n, level in enumerate(policies.scps or ())],
        rcps=[parsed(level, "rcp", f"rcps[{n}]") for n, level in enumerate(policies.rcps or ())],
        endpoint=parsed(policies.vpce or policies.endpoint, "vpce", "endpoint"),
        options=Options.from_mapping({"invalid_statement": "never"} | options),
    ).session()


def _lower_first(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
