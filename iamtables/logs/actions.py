"""From `eventSource` and `eventName` to IAM actions.

Sections 2 and 3 of docs/spec/cloudtrail.md. The naive rule (`prefix:eventName`) holds for most
calls and is accepted only when the catalogue lists the result; the exceptions are data
(`data/cloudtrail-actions.json`, `data/apigateway.json`). What is left is *unmapped*, never
guessed.

`ActionTable.plan` does all that depends on source and name alone, once per pair; `Plan.steps` adds
what depends on the parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..catalogue import Catalogue, CatalogueAction
from .classes import RecordClass
from .parameters import Parameters, has, is_hidden, scalar
from .places import Folded, Place

_SUFFIX = re.compile(
    r"\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk"
    r"|csp\.hci\.ic\.gov|api\.aws)$")
_DATED = re.compile(r"_?\d{4}_?\d{2}_?\d{2}(?:v\d+)?$")
_NAME = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_]+")
_NOT_CALLS = {
    "AwsServiceEvent": "service event",
    "AwsConsoleSignIn": "console sign-in",
    "AwsCloudTrailInsight": "insight",
}
_NOT_CALL_CATEGORIES = {"Insight": "insight", "Aggregated": "aggregated counts"}
_CALLS = frozenset({"AwsApiCall", "AwsConsoleAction", "AwsVpceEvent"})


@dataclass(frozen=True, slots=True)
class Step:
    """One action that a call needs.

    tail   : names of the parameters its resource ends with
    tables : of a call on several tables, those this action is asked for: names or ARNs; None for
             one that is not named, "" for one that could not be told from a list either
    """

    action: str
    tail: tuple[str, ...] = ()
    tables: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known from source and name: a verdict without actions, or how to find the actions."""

    verdict: RecordClass | None
    reason: str | None
    service: str = ""
    steps: tuple[Step, ...] = ()
    rule: dict[str, Any] | None = None
    """Rule that adds or replaces steps by what the parameters hold."""
    are_resources_unknown: bool = False
    """The record's resources are not those of the action (batches)."""
    is_about_self: bool = False
    """Without a user name it is about the caller's own user."""
    tagging_action: str | None = None
    """Also needed when the call brings tags."""
    may_tag: bool = False
    """Tags need another action, but which one is not known."""
    passes_role: bool = False


def load_table(name: str) -> dict[str, Any]:
    text = (files("iamtables.data") / name).read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _names() -> dict[str, dict[str, Any]]:
    """Exceptions by service prefix and lower-case event name."""
    table = load_table("cloudtrail-actions.json")["names"]
    lowered = {prefix: {name.lower(): rule for name, rule in names.items()}
               for prefix, names in table.items()}
    operations = load_table("apigateway.json")["operations"]
    lowered["apigateway"] = {
        name.lower(): f"apigateway:{call.split()[0]}" for name, call in operations.items()}
    return lowered


@cache
def _paths() -> dict[str, str]:
    operations = load_table("apigateway.json")["operations"]
    return {name.lower(): call.partition(" ")[2] for name, call in operations.items()}


def label_of(event_source: str) -> str:
    """`s3` for `s3.amazonaws.com`; several labels are kept (`streams.dynamodb`)."""
    return _SUFFIX.sub("", event_source.lower())


class ActionTable:
    """Plans for pairs of event source and event name."""

    def __init__(self, catalogue: Catalogue, unlisted_actions: bool = False) -> None:
        self._catalogue = catalogue
        self._unlisted = unlisted_actions
        table = load_table("cloudtrail-actions.json")
        self._sources: dict[str, str] = table["sources"]
        self._not_a_call: dict[str, list[str]] = table["not_a_call"]
        self._no_action = {prefix: {name.lower() for name in names}
                           for prefix, names in table["no_action"].items()}
        self._self = {f"{prefix}:{name}" for prefix, names in table["self"].items()
                      for name in names}
        self._tag_on_create: dict[str, str] = table["tag_on_create"]
        self._alternatives: list[str] = table["alternatives"]
        self._express_suffix: str = table["express_bucket_suffix"]
        self._more_behind: dict[str, list[str]] = table["more_behind"]
        self._batches = frozenset(table["batches"])

    def prefix_of(self, source: str) -> str:
        """The service prefix behind an event source (section 3.1)."""
        label = label_of(source)
        return self._sources.get(label) or label.partition(".")[0]

    def plan(
        self, source: str, name: str, event_type: str | None, category: str | None
    ) -> Plan:
        if category in _NOT_CALL_CATEGORIES:
            return Plan(RecordClass.NOT_A_CALL, _NOT_CALL_CATEGORIES[category])
        if event_type in _NOT_CALLS:
            return Plan(RecordClass.NOT_A_CALL, _NOT_CALLS[event_type])
        prefix = self.prefix_of(source)
        listed = self._not_a_call.get(prefix, ())
        if "*" in listed or name in listed:
            return Plan(RecordClass.NOT_A_CALL, "console sign-in")
        if event_type is not None and event_type not in _CALLS:
            return Plan(RecordClass.UNMAPPED, f"event type `{event_type}`")
        if name.lower() in self._no_action.get(prefix, ()):
            return Plan(RecordClass.NO_ACTION, f"`{prefix}:{name}` needs no permission")
        return self._call(prefix, name) or self._unmapped(prefix, name, event_type)

    def _call(self, prefix: str, name: str) -> Plan | None:
        """By exception, by the catalogue, then the same without a date at the end of the name."""
        undated = _DATED.sub("", name)
        for candidate in dict.fromkeys((name, undated)):
            rule = _names().get(prefix, {}).get(candidate.lower())
            if rule is not None:
                return self._by_rule(prefix, rule)
            found = self._catalogue.action(f"{prefix}:{candidate}")
            if found is not None:
                return self._plan_for(prefix, (Step(found.spelling),), found)
        if prefix in self._batches and undated.startswith("Batch"):
            single = undated.removeprefix("Batch")
            for candidate in (single, single.removesuffix("s")):
                found = self._catalogue.action(f"{prefix}:{candidate}")
                if found is not None:
                    return self._plan_for(prefix, (Step(found.spelling),), found)
        return None

    def _unmapped(self, prefix: str, name: str, event_type: str | None) -> Plan:
        action = f"{prefix}:{name}"
        if self._unlisted and _NAME.fullmatch(action):
            return Plan(None, None, prefix, (Step(action),))
        if event_type == "AwsConsoleAction":
            return Plan(RecordClass.UNMAPPED, f"`{action}` is a console-only operation")
        if name.endswith("Internal"):
            return Plan(RecordClass.UNMAPPED, f"`{action}` is internal to the console")
        return Plan(RecordClass.UNMAPPED,
                    f"`{action}` is not in the catalogue ({self._catalogue.source})")

    def _by_rule(self, prefix: str, rule: str | list[Any] | dict[str, Any]) -> Plan:
        conditional = rule if isinstance(rule, dict) else None
        actions = rule.get("actions", []) if isinstance(rule, dict) else rule
        steps = self._steps(prefix, actions)
        first = self._catalogue.action(steps[0].action) if steps else None
        plan = self._plan_for(prefix, steps, first)
        return Plan(
            None, None, plan.service, plan.steps, conditional,
            bool(conditional and conditional.get("resources") == "unknown"),
            plan.is_about_self, plan.tagging_action, plan.may_tag, plan.passes_role,
        )

    def _steps(self, prefix: str, actions: str | list[Any]) -> tuple[Step, ...]:
        steps = []
        for entry in [actions] if isinstance(actions, str) else actions:
            name = entry if isinstance(entry, str) else entry["action"]
            tail = () if isinstance(entry, str) else tuple(entry["tail"])
            qualified = name if ":" in name else f"{prefix}:{name}"
            found = self._catalogue.action(qualified)
            steps.append(Step(found.spelling if found is not None else qualified, tail))
        return tuple(steps)

    def _plan_for(
        self, prefix: str, steps: tuple[Step, ...], action: CatalogueAction | None
    ) -> Plan:
        if action is None:
            return Plan(None, None, prefix, steps)
        tagging, may_tag = self._tagging(action)
        return Plan(
            None, None, prefix, steps,
            is_about_self=action.spelling in self._self,
            tagging_action=tagging,
            may_tag=may_tag,
            passes_role="iam:PassRole" in action.dependent_actions,
        )

    def _tagging(self, action: CatalogueAction) -> tuple[str | None, bool]:
        """The tagging action that tags in this call need as well; or that some action may be."""
        if action.access_level not in ("Write", "Permissions management") or not any(
            key.lower() == "aws:tagkeys" or key.lower().startswith("aws:requesttag/")
            for key in action.condition_keys
        ):
            return None, False
        name = self._tag_on_create.get(action.spelling) or self._tag_on_create.get(action.service)
        found = self._catalogue.action(f"{action.service}:{name}") if name else None
        if found is not None:
            return (None, False) if found.spelling == action.spelling else (found.spelling, False)
        if action.service == "sts":
            return None, False
        return None, any(
            f"{action.service}:{tagger}" in self._catalogue
            for tagger in ("TagResource", "AddTagsToResource", "AddTags", "CreateTags"))

    def has_alternatives(self, action: str) -> bool:
        """Do the required resource types of an action exclude each other?"""
        service = action.partition(":")[0]
        return action in self._alternatives or f"{service}:*" in self._alternatives

    def has_more_behind(self, action: str, arns: Iterable[str | None]) -> bool:
        """Does a resource stand for others that are checked too (an inference profile's models)?"""
        heads = self._more_behind.get(action)
        return heads is not None and any(
            arn is not None and arn.split(":", 5)[-1].startswith(tuple(heads)) for arn in arns)

    def named(self, service: str, entries: list[Any]) -> list[str]:
        """The actions that entries of a rule name."""
        return [step.action for step in self._steps(service, entries)]

    def path_of(self, event_name: str) -> str | None:
        """The path of an API Gateway operation, for its resource; None for other names."""
        return _paths().get(event_name.lower())

    def steps(
        self, plan: Plan, parameters: Parameters, has_passed: bool
    ) -> tuple[list[Step], str | None]:
        """The actions of a call, and why there may be more. Empty when no action is known.

        Null parameters of a call that passed mean that none were sent.
        """
        rule = plan.rule
        steps = list(plan.steps)
        if isinstance(parameters, dict) and self._is_express(plan, parameters):
            return [Step("s3express:CreateSession")], None
        if rule is None:
            return steps, None
        if "words" in rule:
            return self._by_statement(plan, rule, parameters)
        if "kinds" in rule:
            return self._by_kinds(plan, rule, parameters), None
        conditions = rule.get("when", ())
        if not isinstance(parameters, dict):
            is_certain = not conditions or (parameters is None and has_passed)
            return steps, None if is_certain else _NOT_SETTLED
        reason = None
        for condition in conditions:
            if _holds(condition, parameters) == ("unless" in condition):
                continue
            if "open" in condition:
                reason = condition["open"]
            elif "instead" in condition:
                steps = list(self._steps(plan.service, condition["instead"]))
            else:
                steps += self._steps(plan.service, condition["also"])
        return steps, reason

    def _is_express(self, plan: Plan, parameters: dict[str, Any]) -> bool:
        """Object calls on directory buckets are authorised as `s3express:CreateSession`."""
        bucket = parameters.get("bucketName")
        return (
            plan.service in ("s3", "s3express") and isinstance(bucket, str)
            and bucket.endswith(self._express_suffix)
            and any("Object" in step.action or "Multipart" in step.action for step in plan.steps)
        )

    def _by_statement(
        self, plan: Plan, rule: dict[str, Any], parameters: Parameters
    ) -> tuple[list[Step], str | None]:
        """PartiQL: the action and the table of each statement that is shown."""
        if not isinstance(parameters, dict):
            return [], None
        shown = Folded(parameters)
        found: dict[str, dict[str | None, None]] = {}
        is_whole = True
        for text in (text for place in rule["statements"]
                     for text in Place.parse(place).values(shown)):
            verb, table = (read_statement(text) if isinstance(text, str) and not is_hidden(text)
                           else (None, None))
            action = rule["words"].get(verb)
            if action is None:
                is_whole = False
            else:
                found.setdefault(action, {})[table] = None
        steps = [Step(f"{plan.service}:{action}", tables=tuple(tables))
                 for action, tables in found.items()]
        return steps, None if is_whole else _OTHERS

    def _by_kinds(
        self, plan: Plan, rule: dict[str, Any], parameters: Parameters
    ) -> list[Step]:
        """A transaction: the action of each item on the table that it names."""
        items = parameters.get(rule["kinds_in"]) if isinstance(parameters, dict) else None
        if not isinstance(items, list) or not items:
            return []
        kinds = {kind.lower(): action for kind, action in rule["kinds"].items()}
        found: dict[str, dict[str | None, None]] = {}
        for item in items:
            if not isinstance(item, dict) or not item:
                return []
            for kind, asked in item.items():
                action = kinds.get(kind.lower())
                if action is None:
                    return []
                named = asked.get("tableName") if isinstance(asked, dict) else None
                is_shown = isinstance(named, str) and named and not is_hidden(named)
                found.setdefault(action, {})[named if is_shown else None] = None
        return [Step(f"{plan.service}:{action}", tables=tuple(tables))
                for action, tables in found.items()]


_NOT_SETTLED = "the parameters that settle the actions are not recorded"
_OTHERS = "other actions of the call are not recorded"
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|\'(?:[^\']|\'\')*\'|([A-Za-z0-9_.$-]+)|\S')
_BEFORE_TABLE = {"select": "from", "insert": "into", "update": "update", "delete": "from"}


def read_statement(text: str) -> tuple[str | None, str | None]:
    """(verb in lower case, table) of a PartiQL statement.

    The table is None when it cannot be told, "" when the statement goes to an index of one.
    """
    tokens = list(_TOKEN.finditer(text))
    verb = (tokens[0].group(2) or "").lower() if tokens else ""
    before = _BEFORE_TABLE.get(verb)
    if before is None:
        return None, None
    for place, token in enumerate(tokens[:-1]):
        if (token.group(2) or "").lower() == before:
            named, rest = tokens[place + 1], tokens[place + 2 :]
            name = named.group(1) if named.group(1) is not None else named.group(2)
            if name is None or not _TABLE.fullmatch(name):
                return verb, None
            is_unquoted_path = named.group(1) is None and "." in name
            if is_unquoted_path or (rest and rest[0].group().startswith(".")):
                return verb, ""
            return verb, name
    return verb, None


_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")


def _holds(condition: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Was one of the parameters sent, with the text that is asked for, if any?

    is       : the value must be this
    is_not   : and not this
    contains : it must have this in it
    """
    for name in condition["has"]:
        if not has(parameters, name):
            continue
        text = scalar(parameters[name]) or ""
        if condition.get("is", text) == text and condition.get("is_not") != text and (
                condition.get("contains", "") in text):
            return True
    return False


def looks_at_values(rule: dict[str, Any]) -> bool:
    """Do the actions depend on more than which parameters were sent?"""
    return any(not {"is", "is_not", "contains"}.isdisjoint(condition)
               for condition in rule.get("when", ()))
