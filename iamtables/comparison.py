"""`compare(old, new)`: what one set of policies allows that the other does not, in all cases.

The search (`compiler/compare/`) is exact set reasoning over the language of statements. Every
request it finds is replayed through the reference evaluator here, always; one that the reference
does not confirm is an internal error, and the answer is then *undecided*, never shown as a
difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .compared import Comparison, Difference, Direction, Ground, Request, Side
from .compiler import ir
from .compiler.compare import (
    Acceptor,
    Budget,
    Question,
    Region,
    Search,
    Witness,
    identity,
)
from .compiler.lower import lower_documents
from .compiler.organization import Organization
from .concerned import ConcernedPolicy, numbers_by_place
from .errors import RequestError
from .grammar.tree import PolicyDocument
from .options import Options
from .reference import StatementState, outcome_of, statement_states
from .runtime.codes import DecisionCode
from .wording import action_texts, condition_texts, resource_texts, statement_info
from .worlds import CatalogueWorld, WorldName, world

Policies = PolicyDocument | Iterable[PolicyDocument]

STEPS_PER_STATEMENT = 100
"""What the reference evaluator takes for one statement, in steps of the budget."""


def compare(
    old: Policies | Organization, new: Policies | Organization, *, world: WorldName = "rules",
    options: Options | None = None, budget: Budget | None = None, principal: str | None = None,
) -> Comparison:  # fmt: skip
    """What `new` allows that `old` does not, and the other way round.

    old, new : documents, each side taken as the identity policies of one principal; or two
               organizations, for the user or role `principal` (`Comparison.scope` says over
               which requests)
    world    : `rules`, every request the rules admit; `catalogue`, only actions that the service
               catalogue lists, on ARNs of their templates
    budget   : how much work each question may cost before the answer is *undecided*

    Raises RequestError for a world that does not exist, or a principal that does not fit.
    """
    if isinstance(old, Organization) or isinstance(new, Organization):
        if not isinstance(old, Organization) or not isinstance(new, Organization):
            raise RequestError("an organization compares with an organization", field="new",
                               help="give two snapshots, or policies on both sides")
        if principal is None:
            raise RequestError("organizations compare for one principal", field="principal",
                               help="name the ARN of a user or role")
        from .organizations_compared import compare_organizations

        return compare_organizations(
            old, new, principal, name=world, options=options or Options(), budget=budget)
    if principal is not None:
        raise RequestError("documents have no principal", field="principal",
                           help="give two organizations, or leave the principal out")
    return _Comparing(listed(old), listed(new), world, options or Options(), budget).run()


def listed(policies: Policies) -> tuple[PolicyDocument, ...]:
    """One document, or several, as a tuple."""
    return (policies,) if isinstance(policies, PolicyDocument) else tuple(policies)


class _Comparing:
    def __init__(
        self, old: Sequence[PolicyDocument], new: Sequence[PolicyDocument], name: WorldName,
        options: Options, budget: Budget | None,
    ) -> None:  # fmt: skip
        self.documents = (*old, *new)
        self.options = options
        self.name = name
        self.world: CatalogueWorld = world(name)
        self.program = lower_documents(self.documents, options)
        split = len(old)
        self.old = Replayed(self.program, self.documents, range(split))
        self.new = Replayed(self.program, self.documents, range(split, len(self.documents)))
        self.search = Search(self.program, self.world, budget or Budget())

    def run(self) -> Comparison:
        return Comparison(
            Side(tuple(d.source.name for d in self.old.documents)),
            Side(tuple(d.source.name for d in self.new.documents)),
            self.name,
            self.world.date,
            gained=self._direction(self.new, self.old, 2),
            lost=self._direction(self.old, self.new, 1),
        )

    def _direction(self, accepts: Replayed, refuses: Replayed, questions: int) -> Direction:
        found = self.search.differences(
            Question(accepts.acceptor, refuses.acceptor), questions)
        differences: list[Difference] = []
        undecided = [*found.undecided]
        left_out = found.left_out
        for region in found.regions:
            if region.witness is None:
                undecided.append(self._unclear(region))
                continue
            if differences and self.search.meter.is_spent:
                left_out += 1
                continue
            difference = self._difference(region, region.witness, accepts, refuses)
            if isinstance(difference, str):
                undecided.append(difference)
            else:
                differences.append(difference)
        return Direction(tuple(differences), tuple(dict.fromkeys(undecided)), left_out)

    def _difference(
        self, region: Region, witness: Witness, accepts: Replayed, refuses: Replayed
    ) -> Difference | str:
        """The region with its request, replayed; a sentence when that is not confirmed."""
        request = request_of(witness)
        allowing, accepting = accepts.judge(request)
        denying, refusing = refuses.judge(request)
        self.search.meter.note(STEPS_PER_STATEMENT * (len(accepting) + len(refusing)))
        if allowing is not DecisionCode.ALLOW or denying not in (
            DecisionCode.IMPLICIT_DENY, DecisionCode.EXPLICIT_DENY,
        ):  # fmt: skip
            return (f"internal error: the reference evaluator does not confirm a difference at "
                    f"{statement_info(self.program, region.statement).location}; please report it")
        document = self.documents[self.program.statements[region.statement].document]
        return Difference(
            statement=statement_info(self.program, region.statement),
            actions=action_texts(self.program, region),
            resources=resource_texts(self.program, region),
            conditions=condition_texts(document, self.program.statements[region.statement]),
            allowed_by=grounds(self.program, accepting, "Allow"),
            denied_by=grounds(self.program, refusing, "Deny"),
            near_misses=near_misses(self.program, refusing),
            witness=request,
            decision=denying,
        )

    def _unclear(self, region: Region) -> str:
        info = statement_info(self.program, region.statement)
        return f"{info.label} at {info.location}: {region.undecided}"


class Stated(NamedTuple):
    """A statement as the reference evaluator finds it; `number` in the program, -1: not there."""

    layer: str
    state: StatementState
    number: int


def grounds(program: ir.Program, stated: Iterable[Stated], effect: str) -> tuple[Ground, ...]:
    """The statements of an effect that match."""
    return tuple(
        Ground(one.layer, statement_info(program, one.number)) for one in stated
        if one.state.effect == effect and one.state.state == "yes" and one.number >= 0)


def near_misses(program: ir.Program, stated: Iterable[Stated]) -> tuple[Ground, ...]:
    """Allow statements that do not match for their condition alone."""
    return tuple(
        Ground(one.layer, statement_info(program, one.number)) for one in stated
        if one.state.effect == "Allow" and one.state.state == "no" and one.number >= 0
        and all(match.state == "yes" for name, match in one.state.elements.items()
                if name != "condition"))


class Replayed:
    """One side: its acceptor, and its policies as the reference evaluator takes them."""

    def __init__(
        self, program: ir.Program, documents: Sequence[PolicyDocument], numbers: Iterable[int]
    ) -> None:
        self.numbers = tuple(numbers)
        self.documents = [documents[n] for n in self.numbers]
        self.acceptor: Acceptor = identity(program, self.numbers)
        self._options = program.options.to_mapping()
        statements = numbers_by_place(program)
        self._policies = [ConcernedPolicy(documents[n], n, statements) for n in self.numbers]

    def judge(self, request: Request) -> tuple[DecisionCode, list[Stated]]:
        """The decision of the reference evaluator, and the statements it looked at."""
        concerned = [policy.of(request.action) for policy in self._policies]
        policies = [policy for policy, _ in concerned]
        numbers = [number for _, listed in concerned for number in listed]
        states = statement_states(
            policies, action=request.action, resource=request.resource,
            context=request.context, options=self._options)
        stated = [Stated("identity", state, number)
                  for state, number in zip(states, numbers, strict=True)]
        return DecisionCode[outcome_of(states).decision], stated

    def matches(self, request: Request, number: int) -> bool:
        """Whether the reference evaluator finds that this statement matches."""
        return any(one.number == number and one.state.state == "yes"
                   for one in self.judge(request)[1])


def request_of(witness: Witness) -> Request:
    """The request of a witness, its context in the order of key names."""
    return Request(witness.action, witness.resource, {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in sorted(witness.context.items()) if value is not None
    })


__all__ = [
    "STEPS_PER_STATEMENT",
    "Policies",
    "Replayed",
    "Stated",
    "compare",
    "grounds",
    "listed",
    "near_misses",
    "request_of",
]
