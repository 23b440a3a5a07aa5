"""One call -> its requests: the (action, resource) pairs that must all be allowed.

Sections 3, 4 and 7 of docs/spec/cloudtrail.md put together. A resource is taken from the record
only when it certainly is the action's: named by the message of a denied call, listed in
`resources[]` or given as an ARN parameter and fitting a template of the action, the caller's own
user, or a template filled from the parameters. Otherwise the member's resource is unknown, with a
pattern of what it can be where a part is known, and the record *partial*. Runs once per distinct
call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from ..catalogue import Catalogue, CatalogueAction
from .actions import ActionTable, Plan, Step
from .arns import FoundArn, find_arns, names_role
from .classes import (
    GIVEN,
    MESSAGE,
    NOT_KNOWN,
    NOT_NEEDED,
    PARAMETER,
    PATTERN,
    SELF,
    STAR,
    TEMPLATE,
    Outcome,
    RecordClass,
)
from .context import KeyValue
from .options import LogOptions
from .outcome import RecordedOutcome, read_outcome
from .parameters import (
    NOT_SHOWN,
    Parameters,
    decode_parameters,
    find_tags,
    is_hidden,
)
from .records import DECODE_ERRORS, BadRecord, describe, too_long
from .request_keys import Asked, RequestKey
from .resources import ActionForms, ResourceForms, choose, is_request_resource
from .templates import TemplateBuilder, Where, path_resource, tagged_types

MAX_MEMBERS = 1000
"""Requests made of one record at most; what is over leaves one member with an unknown resource."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One request. `resource` None is unknown; `pattern` then covers what it can be, if known."""

    action: str
    resource: str | None
    state: str
    pattern: str | None = None
    keys: tuple[KeyValue, ...] = ()


class MappedCall(msgspec.Struct, frozen=True, gc=False):
    """What all records with the same call share."""

    record_class: RecordClass
    reason: str | None
    is_complete: bool
    """False: the call may need actions that are not among its members."""
    outcome: RecordedOutcome
    members: tuple[Member, ...]


class Call(msgspec.Struct, frozen=True, gc=False):
    """One distinct call as the reader found it: raw slices, to be decoded here."""

    plan: Plan
    event_name: str
    error_code: str | None
    message: str | None
    parameters: bytes
    resources: bytes
    own_user: str | None
    """ARN of the calling IAM user, for calls about oneself."""
    where: Where
    needs_resources: bool = True
    """False: no policy asks for the resources or the context of its actions."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the mapping of an action takes, looked up once."""

    has_types: bool
    wanted: ActionForms
    action: CatalogueAction
    are_alternatives: bool


class CallMapper:
    """Maps distinct calls; holds the tables that this takes."""

    def __init__(
        self, catalogue: Catalogue, options: LogOptions, keys: tuple[RequestKey, ...]
    ) -> None:
        self.actions = ActionTable(catalogue, options.unlisted_actions)
        self.keys = keys
        self._no_keys_of_others: tuple[KeyValue, ...] = (None,) * len(keys)
        self._of_service: dict[tuple[str, str], list[tuple[int, RequestKey]]] = {}
        self._no_keys: tuple[KeyValue, ...] = (NOT_SHOWN,) * len(keys)
        self._catalogue = catalogue
        self.forms = ResourceForms(catalogue)
        self._templates = TemplateBuilder()
        self._unlisted = options.unlisted_actions
        self._max_bytes = options.max_record_bytes
        self._prepared: dict[str, _Prepared | None] = {}

    def map(self, call: Call) -> MappedCall:
        """Raises BadRecord when a part of the record has the wrong shape."""
        if len(call.parameters) + len(call.resources) > self._max_bytes:
            raise BadRecord(too_long(self._max_bytes))
        outcome = read_outcome(call.error_code, call.message)
        plan = call.plan
        if plan.verdict is not None:
            return MappedCall(plan.verdict, plan.reason, True, outcome, ())
        parameters = decode_parameters(call.parameters)
        given = decode_resources(call.resources)
        has_passed = outcome.outcome == Outcome.PASSED
        steps, reason = self.actions.steps(plan, parameters, has_passed)
        refused = self._refused(outcome)
        if not steps:
            if refused is None:
                return MappedCall(
                    RecordClass.UNMAPPED,
                    f"what `{plan.service}:{call.event_name}` did is not recorded",
                    False, outcome, ())
            reason = reason or "other actions of the call are not recorded"
        members: list[Member] = []
        for step in steps:
            members += self._members(call, step, parameters, given, has_passed)
        tagging, tag_reason = self._tagging(call, members, parameters, has_passed)
        members += tagging
        passed, role_reason = self._passed_roles(call, parameters, has_passed)
        members += passed
        reason = reason or tag_reason or role_reason
        if refused is not None:
            members = _with_refused(members, refused)
            if refused.resource is not None and parameters is None:
                reason = None  # the service itself named the pair it checked
        members = _distinct(members)
        is_complete = reason is None
        if not all([member.resource is not None or member.state == NOT_NEEDED
                    for member in members]):
            known = any(member.resource is not None for member in members)
            in_part = all(member.resource or member.pattern for member in members)
            which = "a further resource" if known else "the resource"
            reason = f"{which} is {'known in part' if in_part else 'not recorded'}"
        record_class = RecordClass.MAPPED if reason is None else RecordClass.PARTIAL
        return MappedCall(record_class, reason, is_complete, outcome,
                          self._with_keys(call, members, parameters, given, has_passed))

    def is_blind_below(self, plan: Plan, names: frozenset[str]) -> bool:
        """Is nothing below parameters of these lower-case names ever looked at, tags but apart?"""
        if plan.service == "apigateway" or plan.tagging_action is not None or plan.may_tag:
            return False
        asked = {name.lower() for condition in (plan.rule or {}).get("when", ())
                 for name in condition["has"]}
        for step in plan.steps:
            prepared = self._prepare(step.action)
            if prepared is None:
                return False
            asked |= self._templates.names_of(prepared.action)
        return asked.isdisjoint(names)

    def _refused(self, outcome: RecordedOutcome) -> Member | None:
        """The request that the message of a denied call names."""
        if outcome.action is None:
            return None
        found = self._catalogue.action(outcome.action)
        if found is None and not self._unlisted:
            return None
        action = found.spelling if found is not None else outcome.action
        if outcome.resource is not None and is_request_resource(outcome.resource):
            return Member(action, outcome.resource, MESSAGE)
        if found is not None and not found.resource_types:
            return Member(action, "*", STAR)
        return Member(action, None, NOT_KNOWN)

    def _members(
        self, call: Call, step: Step, parameters: Parameters, given: dict[str, str | None],
        has_passed: bool,
    ) -> list[Member]:
        """One member per resource of an action; an unknown one when a required type is missing."""
        prepared = self._prepare(step.action)
        if prepared is None:
            return [Member(step.action, None, NOT_KNOWN)]
        if step.tables and call.needs_resources:
            return self._of_tables(call, step, given, has_passed)
        if not prepared.has_types:
            return [Member(step.action, "*", STAR)]
        if not call.needs_resources:
            return [Member(step.action, None, NOT_NEEDED)]
        if call.plan.are_resources_unknown:
            return self._batch(call, step, prepared, parameters)
        if call.plan.service == "apigateway" and isinstance(parameters, dict):
            path = self.actions.path_of(call.event_name)
            resource = path_resource(path, parameters, call.where) if path else None
            if resource is not None:
                return [Member(step.action, resource, TEMPLATE)]
        wanted = prepared.wanted
        candidates: Iterable[str] = given
        if step.tail:
            candidates = _ending(given, step.tail, parameters)
        chosen, is_complete = choose(self.forms, wanted, candidates)
        members = [Member(step.action, arn, GIVEN) for arn in chosen]
        may_miss = False
        if not is_complete and isinstance(parameters, dict):
            values = (find_arns(parameters) if not step.tail
                      else _tail_value(parameters, step.tail))
            extra, may_miss = self._choose_values(wanted, values, chosen)
            members += [Member(step.action, arn, PARAMETER) for arn in extra]
            _, is_complete = choose(self.forms, wanted, [*chosen, *extra])
            is_complete = is_complete and not self._templates.takes_all(prepared.action)
        if not members and self._is_own(call, parameters, has_passed):
            return [Member(step.action, call.own_user, SELF)]
        if not is_complete:
            covered = self._covered([str(member.resource) for member in members])
            members += self._built(call, step, prepared, parameters, covered)
            is_complete = bool(members) and not (
                prepared.are_alternatives and not covered
                and all(member.state == PATTERN for member in members))
        if not is_complete or may_miss or self.actions.has_more_behind(
            step.action, [member.resource for member in members]
        ):
            members.append(Member(step.action, None, NOT_KNOWN))
        return members

    def _of_tables(
        self, call: Call, step: Step, given: dict[str, str | None], has_passed: bool
    ) -> list[Member]:
        """The members of an action on each of its tables and on no other of the call's."""
        members: list[Member] = []
        for table in step.tables:
            listed = {arn: account for arn, account in given.items()
                      if arn == table or arn.endswith(f":table/{table}")}
            if table is None and len(given) == 1:
                listed = given  # the list has the tables of all items
            if (table is None and not listed) or table == "":
                members.append(Member(step.action, None, NOT_KNOWN))
                continue
            members += self._members(
                call, Step(step.action), {} if table is None else {"tableName": table}, listed,
                has_passed)
        return members

    def _built(
        self, call: Call, step: Step, prepared: _Prepared, parameters: Parameters,
        covered: set[str],
    ) -> list[Member]:
        """Resources from templates, of the types that are not covered (section 4, points 5, 6)."""
        shown = parameters if isinstance(parameters, dict) else None
        if step.tail:
            shown = _tail_parameters(shown, step.tail)
        built = self._templates.build(
            prepared.action, shown, call.where, covered,
            fills_required=not prepared.are_alternatives)
        return [
            Member(step.action, resource.arn, TEMPLATE) if resource.arn is not None
            else Member(step.action, None, PATTERN if resource.pattern else NOT_KNOWN,
                        resource.pattern)
            for _, resource in built]

    def _batch(
        self, call: Call, step: Step, prepared: _Prepared, parameters: Parameters
    ) -> list[Member]:
        """A batch whose items are not recorded: something in the bucket, which one is open."""
        shown = parameters if isinstance(parameters, dict) else {}
        bucket = {"bucketName": shown["bucketName"]} if "bucketName" in shown else {}
        built = self._templates.build(
            prepared.action, bucket, call.where, set(), fills_named=True)
        return [Member(step.action, None, PATTERN, resource.pattern)
                for _, resource in built if resource.pattern is not None] or [
            Member(step.action, None, NOT_KNOWN)]

    def _choose_values(
        self, wanted: ActionForms, values: list[FoundArn], chosen: list[str]
    ) -> tuple[list[str], bool]:
        """The ARNs in clear places that fit and add a type; whether unclear ones would add more."""
        covered = self._covered(chosen)
        extra, _ = choose(self.forms, wanted, (
            value.arn for value in values
            if value.is_clear and not self.forms.forms_of(value.arn) & covered))
        covered |= self._covered(extra)
        return extra, any(
            self.forms.forms_of(value.arn) & wanted.all - covered
            for value in values if not value.is_clear)

    def _covered(self, arns: list[str]) -> set[str]:
        return {form for arn in arns for form in self.forms.forms_of(arn)}

    def _prepare(self, name: str) -> _Prepared | None:
        """None for an action that the catalogue does not list."""
        if name not in self._prepared:
            action = self._catalogue.action(name)
            if action is None:
                self._prepared[name] = None
            else:
                are_alternatives = self.actions.has_alternatives(action.spelling)
                self._prepared[name] = _Prepared(
                    bool(action.resource_types),
                    self.forms.action_forms(action, are_alternatives), action, are_alternatives)
        return self._prepared[name]

    def _is_own(self, call: Call, parameters: Parameters, has_passed: bool) -> bool:
        if not call.plan.is_about_self or call.own_user is None:
            return False
        if isinstance(parameters, dict):
            return parameters.get("userName") is None
        return parameters is None and has_passed

    def _tagging(
        self, call: Call, members: list[Member], parameters: Parameters, has_passed: bool
    ) -> tuple[list[Member], str | None]:
        """The tagging action when the call brings tags; a reason when that cannot be told."""
        plan = call.plan
        if plan.tagging_action is None and not plan.may_tag:
            return [], None
        if not isinstance(parameters, dict):
            is_settled = parameters is None and has_passed
            return [], None if is_settled else "whether tags were passed is not recorded"
        tags = find_tags(parameters)
        if tags is NOT_SHOWN:
            return [], "whether tags were passed is not clear"
        if not tags:
            return [], None
        if plan.tagging_action is None:
            return [], "tags were passed; the action that needs is not known"
        return self._tagged(call, plan.tagging_action, members, parameters), None

    def _tagged(
        self, call: Call, action: str, members: list[Member], parameters: dict[str, Any]
    ) -> list[Member]:
        """What a creation tags is the thing it makes, not what that is made from or put into."""
        if not call.needs_resources:
            return [Member(action, None, NOT_NEEDED)]
        if call.plan.service == "ec2":
            kinds = tagged_types(parameters, call.where)
            return [Member(action, None, PATTERN, kind) for kind in kinds] or [
                Member(action, None, NOT_KNOWN)]
        prepared = self._prepare(members[0].action) if members else None
        required = set().union(*prepared.wanted.required) if prepared is not None else set()
        made = [
            member for member in members
            if member.action == members[0].action and (
                member.resource is None or len(members) == 1
                or self.forms.forms_of(member.resource) & required)]
        if len(made) != 1 or made[0].state in (NOT_KNOWN, STAR):
            return [Member(action, None, NOT_KNOWN)]
        return [Member(action, made[0].resource, made[0].state, made[0].pattern)]

    def _passed_roles(
        self, call: Call, parameters: Parameters, has_passed: bool
    ) -> tuple[list[Member], str | None]:
        """`iam:PassRole` on every role ARN among the parameters of a call that passes roles."""
        if not call.plan.passes_role:
            return [], None
        if not isinstance(parameters, dict):
            is_settled = parameters is None and has_passed
            return [], None if is_settled else "whether a role was passed is not recorded"
        roles = [found for found in find_arns(parameters) if _is_role(found.arn)]
        passed = [Member("iam:PassRole", role.arn, PARAMETER) for role in roles if role.may_pass]
        if len(passed) < len(roles):
            return passed, "whether a role was passed is not clear"
        if not passed and names_role(parameters):
            name = _text_of(parameters, "roleName")
            if call.plan.service == "iam" and name is not None and call.where.account:
                head = f"arn:{call.where.partition or '*'}:iam::{call.where.account}"
                return [Member("iam:PassRole", None, PATTERN, f"{head}:role/*{name}")], None
            return [], "a role was passed whose ARN is not recorded"
        return passed, None

    def _with_keys(
        self, call: Call, members: list[Member], parameters: Parameters,
        given: dict[str, str | None], has_passed: bool,
    ) -> tuple[Member, ...]:
        """The members with the values of the asked condition keys."""
        if not self.keys:
            return tuple(members)
        complete = []
        for member in members:
            if member.state == NOT_NEEDED:
                complete.append(Member(member.action, None, member.state, None, self._no_keys))
                continue
            asked = Asked(
                member.action, member.resource, call.event_name, call.plan.service, parameters,
                has_passed, call.where.account, member.pattern,
                given.get(member.resource) if member.resource is not None else None)
            values = list(self._no_keys_of_others)
            for place, key in self._keys_of(asked.service, call.plan.service):
                values[place] = key.read(asked)
            complete.append(Member(member.action, member.resource, member.state, member.pattern,
                                   tuple(values)))
        return tuple(complete)

    def _keys_of(self, service: str, of_call: str) -> list[tuple[int, RequestKey]]:
        """The keys that can be in the context of a service's actions; others are absent."""
        found = self._of_service.get((service, of_call))
        if found is None:
            found = self._of_service[service, of_call] = [
                (place, key) for place, key in enumerate(self.keys)
                if key.services is None or service in key.services or of_call in key.services]
        return found


def decode_resources(raw: bytes) -> dict[str, str | None]:
    """ARN -> account of each entry of `resources[]`, in order. Raises BadRecord."""
    if not raw or raw == b"null":
        return {}
    try:
        entries = _resources.decode(raw)
    except DECODE_ERRORS:
        return _decode_odd_resources(raw)
    found: dict[str, str | None] = {}
    for entry in entries:
        arn = entry.ARN or entry.arn
        if arn and not is_hidden(arn):
            found.setdefault(arn, entry.accountId or None)
    return found


class _Resource(msgspec.Struct, gc=False):
    ARN: str | None = None
    arn: str | None = None
    accountId: str | None = None


_resources = msgspec.json.Decoder(list[_Resource])


def _decode_odd_resources(raw: bytes) -> dict[str, str | None]:
    """The same for a list in which some entries have another shape: these are left out."""
    try:
        entries = msgspec.json.decode(raw)
    except DECODE_ERRORS as error:
        raise BadRecord(describe(error, "resources")) from error
    if not isinstance(entries, list):
        raise BadRecord("`resources` has the wrong type")
    found: dict[str, str | None] = {}
    for entry in entries:
        arn = (entry.get("ARN") or entry.get("arn")) if isinstance(entry, dict) else None
        if isinstance(arn, str) and not is_hidden(arn):
            account = entry.get("accountId")
            found.setdefault(arn, account if isinstance(account, str) and account else None)
    return found


def _text_of(parameters: dict[str, Any], name: str) -> str | None:
    value = parameters.get(name)
    return value if isinstance(value, str) and value and not is_hidden(value) else None


def _ending(
    arns: Iterable[str], tail: tuple[str, ...], parameters: Parameters
) -> list[str]:
    """The ARNs whose resource is what the named parameters say (`bucket/key`, a copy source)."""
    if not isinstance(parameters, dict):
        return []
    texts = [_text_of(parameters, name) for name in tail]
    if any(text is None for text in texts):
        return []
    plain = "/".join(text for text in texts if text is not None).partition("?versionId=")[0]
    wanted = {plain.lstrip("/"), unquote(plain).lstrip("/"), plain}
    return [arn for arn in arns
            if arn in wanted or (rest := arn.split(":", 5)[-1]) in wanted
            or ("/" not in plain and rest.partition("/")[2] == plain)]


def _tail_value(parameters: dict[str, Any], tail: tuple[str, ...]) -> list[FoundArn]:
    text = _text_of(parameters, tail[0]) if len(tail) == 1 else None
    return [FoundArn(text, is_clear=True)] if text is not None and text.startswith("arn:") else []


def _tail_parameters(
    parameters: dict[str, Any] | None, tail: tuple[str, ...]
) -> dict[str, Any] | None:
    """The parameters as the one side of a copy sees them: its own bucket, key and key id."""
    if parameters is None:
        return None
    text = _text_of(parameters, tail[0])
    if len(tail) > 1 or text is None:
        return {name: parameters[name] for name in tail if name in parameters}
    if tail[0].endswith("KeyId"):
        return {"keyId": text}
    plain, _, version = text.partition("?versionId=")
    bucket, _, key = unquote(plain).lstrip("/").partition("/")
    return {"bucketName": bucket, "key": key, "versionId": version}


def _is_role(arn: str) -> bool:
    fields = arn.split(":", 5)
    return len(fields) == 6 and fields[2] == "iam" and fields[5].startswith("role/")


def _with_refused(members: list[Member], refused: Member) -> list[Member]:
    """The denied request takes the place of the members of its action; others stay."""
    if refused.resource is None:
        if any(member.action == refused.action for member in members):
            return members
        return [*members, refused]
    kept = [member for member in members if member.action != refused.action]
    return [refused, *kept]


def _distinct(members: list[Member]) -> list[Member]:
    if len(members) == 1:
        return members
    distinct = list({(member.action, member.resource, member.pattern): member
                     for member in members}.values())
    if len(distinct) > MAX_MEMBERS:
        action = distinct[MAX_MEMBERS - 1].action
        distinct[MAX_MEMBERS - 1 :] = [Member(action, None, NOT_KNOWN)]
    return distinct
