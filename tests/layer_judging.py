"""Judging the layered tables by the reference: complaints, and wrong cases cut down.

`LayerCase` is one question with its policies, read and printed as a line of section 8 of the
semantics; the request may also hold `unknown`, a list of context keys, and a null resource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
from generator import Obj, Raw
from judging import smaller_trees
from layer_generator import LEVELS, LISTS, LayerRequest, LayerWorld, completions, texts_of
from layer_reference import Judgement, Reference, judge, states_by_place
from layer_tables import Answer, check, compile_policies, decide, reopened

from iamtables.reference import RequestFault

ENUMERABLE = 96
"""Completions of a request's unknowns that are all tried; with more, the table must say what the
reference says."""


@dataclass(frozen=True)
class LayerCase:
    """One request, the policies of every type as trees of generator.py, and options."""

    policies: dict[str, Any]
    options: dict[str, str]
    request: LayerRequest

    @property
    def texts(self) -> dict[str, Any]:
        return texts_of(self.policies)

    @property
    def is_trust(self) -> bool:
        """Whether the resource policy is a trust policy, as the reference has it."""
        from iamtables.reference.layers import FEDERATED_ACTIONS, TRUST_ACTIONS

        if self.request.resource is None:
            return self.request.action.lower() in TRUST_ACTIONS + FEDERATED_ACTIONS
        fields = self.request.resource.split(":", 5)
        return len(fields) == 6 and fields[2] == "iam" and fields[5].startswith("role/")

    def line(self, **more: Any) -> str:
        """The case as a line of JSON; policies as they are, with keys given twice."""
        texts = self.texts
        listed = [f'"{name}": [{", ".join(texts[name])}]' for name in LISTS]
        listed += ['"{}": [{}]'.format(name, ", ".join(f"[{', '.join(t)}]" for t in texts[name]))
                   for name in LEVELS]
        listed.append(f'"resource": {texts["resource"] or "null"}')
        asked: dict[str, Any] = {k: v for k, v in asdict(self.request).items()
                                 if v not in (None, False) or k == "resource"}
        asked["unknown"] = sorted(self.request.unknown)
        if asked.pop("is_management_account", False):
            asked["principal_is_management_account"] = True
        rest = json.dumps({"request": asked, "options": self.options, **more})
        one_line = "{" + '"policies": {' + ", ".join(listed) + "}, " + rest[1:]
        return one_line.replace("\n", " ")


def read_case(line: str) -> LayerCase:
    """The case of a line of section 8; `expect` and the like are left to the caller."""
    kept = dict(json.loads(line, object_pairs_hook=Obj, parse_int=Raw, parse_float=Raw))
    plain = json.loads(line)
    policies = {layer: [] for layer in (*LISTS, *LEVELS)} | {"resource": None}
    policies |= dict(kept["policies"])
    asked = dict(plain["request"])
    return LayerCase(policies, dict(plain.get("options") or {}), LayerRequest(
        principal=asked["principal"], action=asked["action"], resource=asked["resource"],
        context=asked.get("context") or {}, unknown=frozenset(asked.get("unknown") or ()),
        issuer_arn=asked.get("issuer_arn"), principal_account=asked.get("principal_account"),
        principal_type=asked.get("principal_type"), resource_account=asked.get("resource_account"),
        is_management_account=asked.get("principal_is_management_account", False)))


# --- complaints -------------------------------------------------------------------------------

def complaint(judgement: Judgement, policies: dict[str, Any], request: LayerRequest,
              answer: Answer) -> str | None:
    """What is wrong with a table's answer; a table that knows more than the reference is left to
    `check_completions`."""
    expected = judgement.outcome.decision
    if answer.error:
        return f"the table refuses the request, the reference says {expected}"
    if answer.decision != expected:
        if expected == "UNDETERMINED":
            return None
        return f"the table says {answer.decision}, the reference {expected}"
    if expected == "UNDETERMINED":
        return _complaint_of_open(judgement, policies, request, answer)
    if answer.reason:
        return f"{expected} with a reason: {answer.reason}"
    if answer.layer not in judgement.deciders:
        return f"{expected} by {answer.layer}, the reference has {sorted(judgement.deciders)}"
    if expected == "IMPLICIT_DENY" or answer.layer in ("root", "service"):
        if answer.statement is not None:
            return f"{expected} by {answer.layer} names statement {answer.statement}"
        return None
    effect = "Allow" if expected == "ALLOW" else "Deny"
    states = states_by_place(judgement, policies)
    fit: list[tuple[str, int] | None] = [
        (document, at) for (layer, document, at), state in states.items()
        if layer == answer.layer and state.effect == effect and state.state == "yes"]
    if answer.layer == "resource" and judgement.layers and judgement.layers.resource is None:
        fit = [None]  # EVAL-44: a policy that is pretended
    if answer.statement not in fit:
        return (f"{expected} by statement {answer.statement} of {answer.layer}, "
                f"expected one of {fit}")
    return None


def _complaint_of_open(judgement: Judgement, policies: dict[str, Any], request: LayerRequest,
                       answer: Answer) -> str | None:
    if not answer.reason:
        return "UNDETERMINED without a reason"
    possible = {key.lower() for key in request.unknown} | {"statement", "principal"}
    possible |= {"resource"} if request.resource is None else set()
    odd = {name.lower() for name in answer.reason} - possible
    if odd:
        return f"the reason names {sorted(odd)}, which is not unknown"
    if answer.statement is None:
        return None
    states = states_by_place(judgement, policies)
    fit = {(document, at) for (_, document, at), state in states.items() if state.state != "no"}
    if answer.statement not in fit:
        return f"UNDETERMINED by statement {answer.statement}, which does not match"
    return None


def check_completions(reference: Reference, world: LayerWorld, request: LayerRequest,
                      judgement: Judgement, decision: str) -> str | None:
    """A table that knows more than the reference must be right however the unknowns turn out.

    Completed are the keys and the resource that the reference's reason names. What no completion
    settles (text that nobody can read, whose account a canonical id is) no table may settle.
    """
    reason = judgement.outcome.reason
    named = frozenset(key for key in request.unknown if key.lower() in reason)
    if request.resource is None and "resource" not in reason:
        return f"the table says {decision}, the reference UNDETERMINED"
    known = completions(world, replace(request, unknown=named), ENUMERABLE)
    if known is None or reason & {"statement", "principal"}:
        return f"the table says {decision}, the reference UNDETERMINED for {sorted(reason)}"
    fine = {decision}
    if decision == "IMPLICIT_DENY":
        fine.add("EXPLICIT_DENY")  # denied anyway; a Deny may add to it
    for completion in known:
        rest = replace(completion, unknown=request.unknown - named)
        try:
            found = reference.judge(rest).outcome.decision
        except RequestFault:
            continue  # a resource that nobody can ask about
        if found not in fine:
            return f"the table says {decision}, {rest} would be {found}"
    return None


def world_of(case: LayerCase) -> LayerWorld:
    """A world of one request, to complete it in: every text its policies hold is a value."""
    pools = {key: ["", "x", "true", "false", None] for key in case.request.unknown}
    return LayerWorld(0, case.policies, case.options, [case.request], case.is_trust,
                      tuple(pools), pools, ["*"])


def verdict(case: LayerCase, world: LayerWorld | None = None) -> str | None:
    """What is wrong with the tables on this case, asked every way; None if nothing is."""
    world = world or world_of(case)
    texts, request = case.texts, case.request
    keys = sorted({*request.context, *request.unknown})
    with Reference(texts, case.options) as reference:
        judgement = reference.judge(request)
        table = compile_policies(texts, case.options, case.is_trust)
        for name, asked in (("", table), ("reopened, ", reopened(table))):
            answers = [("check", check(asked, request))]
            ways: tuple[tuple[str, dict[str, Any]], ...] = (
                ("lists", {}), ("dictionary", {"dictionary": True}),
                ("Arrow", {"arrow": pa.string()}), ("known", {"is_known": True}))
            for way, more in ways:
                rows = decide(asked, [request] * 3, keys, **more)
                answers += [(f"decide {way}", row) for row in rows]
            for way, answer in answers:
                wrong = complaint(judgement, texts, request, answer)
                if wrong is None and answer.decision != judgement.outcome.decision:
                    wrong = check_completions(reference, world, request, judgement,
                                              answer.decision)
                if wrong is not None:
                    return f"{name}{way}: {wrong}"
    return None


# --- cutting a case down ----------------------------------------------------------------------

def _smaller_policies(policies: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Whole types first, then levels, documents, and the parts of each document."""
    for layer, value in policies.items():
        if value:
            yield {**policies, layer: None if layer == "resource" else []}
    for layer in (*LEVELS, *LISTS):
        listed = policies[layer]
        for at in range(len(listed)):
            yield {**policies, layer: listed[:at] + listed[at + 1:]}
    for level in LEVELS:
        for at, listed in enumerate(policies[level]):
            for one in range(len(listed)):
                rest = [listed[:one] + listed[one + 1:]]
                yield {**policies, level: policies[level][:at] + rest + policies[level][at + 1:]}
            for one, tree in enumerate(listed):
                for smaller in smaller_trees(tree):
                    made = [*listed[:one], smaller, *listed[one + 1:]]
                    yield {**policies,
                           level: [*policies[level][:at], made, *policies[level][at + 1:]]}
    for layer in LISTS:
        for at, tree in enumerate(policies[layer]):
            for smaller in smaller_trees(tree):
                yield {**policies,
                       layer: [*policies[layer][:at], smaller, *policies[layer][at + 1:]]}
    if policies["resource"] is not None:
        for smaller in smaller_trees(policies["resource"]):
            yield {**policies, "resource": smaller}


def _smaller_requests(request: LayerRequest) -> Iterator[LayerRequest]:
    for key in sorted(request.unknown):
        yield replace(request, unknown=request.unknown - {key})
    for key in request.context:
        yield replace(request, context={k: v for k, v in request.context.items() if k != key})
    for name in ("issuer_arn", "principal_account", "principal_type", "resource_account"):
        if getattr(request, name) is not None:
            yield replace(request, **{name: None})
    if request.is_management_account:
        yield replace(request, is_management_account=False)
    for principal in ("arn:aws:iam::111122223333:user/ana", "anonymous"):
        if request.principal != principal and len(request.principal) > len(principal):
            yield replace(request, principal=principal)
    if request.resource not in ("*", None):
        yield replace(request, resource="*")
    if request.action != "s3:GetObject":
        yield replace(request, action="s3:GetObject")


def _kind(complaint: str | None) -> str:
    """What tells one kind of complaint from another: its words in capitals, or its first."""
    if complaint is None:
        return ""
    said = complaint.rsplit("check: ", 1)[-1].split(": ", 1)[-1]
    return " ".join(re.findall(r"\b[A-Z_]{5,}\b", said)) + " ".join(said.split()[:3])


def shrink(case: LayerCase, wrong: Callable[[LayerCase], str | None], *,
           budget: int = 3000) -> LayerCase:
    """A smallest case that is wrong in the same way, as far as `budget` trials reach."""
    kind = _kind(wrong(case))

    def candidates(case: LayerCase) -> Iterator[LayerCase]:
        for name in case.options.keys() - {"invalid_statement"}:
            yield replace(case, options={k: v for k, v in case.options.items() if k != name})
        for policies in _smaller_policies(case.policies):
            yield replace(case, policies=policies)
        for request in _smaller_requests(case.request):
            yield replace(case, request=request)

    found = True
    while found:
        found = False
        for smaller in candidates(case):
            budget -= 1
            if budget < 0:
                return case
            try:
                is_wrong = _kind(wrong(smaller)) == kind
            except Exception:
                is_wrong = False  # not a request or a policy any more
            if is_wrong:
                case, found = smaller, True
                break
    return case


def report(case: LayerCase, wrong: Callable[[LayerCase], str | None] = verdict) -> str:
    """The smallest form of a wrong case, as a line for tests/cases/layers.jsonl."""
    small = shrink(case, wrong)
    outcome = judge(small.texts, small.request, small.options).outcome
    return (f"{wrong(small)}\n  the reference: {outcome.result} by {outcome.deciders} "
            f"{sorted(outcome.reason)}\n{small.line(expect=outcome.result)}")
