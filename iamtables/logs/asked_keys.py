"""The context keys that are asked for, sorted by where in a record they come from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..catalogue import Catalogue
from .batch import KeyPlan
from .context import CALLER_KEYS, CallerKey
from .request_keys import FAMILIES, RequestKey, all_request_keys, family_key, request_key

_TIME_KEYS = {"aws:currenttime": "aws:CurrentTime", "aws:epochtime": "aws:EpochTime",
              "aws:multifactorauthage": "aws:MultiFactorAuthAge"}
_RESOURCE_ACCOUNT = "aws:resourceaccount"
_TAG_KEYS = ("aws:tagkeys", "aws:requesttag/")
_SESSION_TAG = "aws:principaltag/"


class AskedKeys:
    """The context keys asked for, sorted by where they come from."""

    def __init__(self, keys: Sequence[str] | None, catalogue: Catalogue) -> None:
        self.caller: list[CallerKey] = []
        self.request: list[RequestKey] = []
        self.plans: list[KeyPlan] = []
        asked = keys if keys is not None else _all_keys()
        for name in dict.fromkeys(asked):
            lower = name.lower()
            if (time_name := _TIME_KEYS.get(lower)) is not None:
                spelled = name if keys is not None else time_name
                self.plans.append(KeyPlan(spelled, "time", time_key=lower))
            elif (tag := session_tag(name)) is not None:
                self.plans.append(KeyPlan(name, "session", part=tag))
            elif (caller_key := CALLER_KEYS.get(lower)) is not None:
                spelled = name if keys is not None else caller_key.spelling
                self.plans.append(
                    KeyPlan(spelled, "caller", len(self.caller), caller_key.service))
                self.caller.append(caller_key)
            elif (found := request_key(lower, catalogue)) is not None:
                spelled = name if keys is not None else found.spelling
                self.plans.append(KeyPlan(spelled, "request", len(self.request)))
                self.request.append(found)
            else:
                self.plans.append(KeyPlan(name, "given"))
        needs = {need for key in self.caller for need in key.needs}
        self.network = "ip" in needs
        self.agent = "agent" in needs
        self.tls = "tls" in needs
        self.additional = "additional" in needs
        self.sessions = any(plan.kind == "session" for plan in self.plans)
        """Do tags of sessions matter, which the calls that began them tell?"""
        self.tags = any(plan.name.lower().startswith(_TAG_KEYS) for plan in self.plans)
        self.accounts = any(plan.name.lower() == _RESOURCE_ACCOUNT for plan in self.plans)

    def want_parameters_of(self, service: str) -> bool:
        """Does a key other than those of tags need the parameters of this service's calls?"""
        return any(
            key.needs_parameters and key.services is not None and service in key.services
            for key in self.request)


    def of_everything(self, catalogue: Catalogue) -> AskedKeys:
        """All keys that records tell, with the plans for those asked here: what a cache holds."""
        whole = AskedKeys(None, catalogue)
        places = {key.spelling.lower(): i for i, key in enumerate(whole.request)}
        for spelling in FAMILIES.values():
            places[spelling.lower()] = len(whole.request)
            whole.request.append(family_key(spelling, catalogue))
        by_name = {plan.name.lower(): plan for plan in whole.plans}
        whole.plans = [self._whole_plan(plan, by_name, places) for plan in self.plans]
        whole.tags = whole.accounts = whole.sessions = True
        return whole

    def of_cache(self, catalogue: Catalogue) -> AskedKeys:
        """The keys asked here and no others, families by the column that holds all of them."""
        lean = AskedKeys([plan.name for plan in self.plans], catalogue)
        families: dict[str, int] = {}
        kept: list[RequestKey] = []
        plans: list[KeyPlan] = []
        for plan in lean.plans:
            if plan.kind != "request":
                plans.append(plan)
            elif (family := _family_of(plan.name)) is not None:
                prefix, spelling = family
                if spelling not in families:
                    families[spelling] = len(kept)
                    kept.append(family_key(spelling, catalogue))
                plans.append(KeyPlan(plan.name, "family", families[spelling],
                                     part=plan.name.lower().removeprefix(prefix)))
            else:
                plans.append(KeyPlan(plan.name, "request", len(kept)))
                kept.append(lean.request[plan.index])
        lean.request, lean.plans = kept, plans
        return lean

    @staticmethod
    def _whole_plan(
        plan: KeyPlan, by_name: dict[str, KeyPlan], places: dict[str, int]
    ) -> KeyPlan:
        lower = plan.name.lower()
        if plan.kind in ("session", "given"):
            return plan
        if plan.kind == "request":
            if (family := _family_of(plan.name)) is not None:
                prefix, spelling = family
                return KeyPlan(plan.name, "family", places[spelling.lower()],
                               part=lower.removeprefix(prefix))
            return KeyPlan(plan.name, "request", places[lower])
        whole = by_name[lower]
        return KeyPlan(plan.name, whole.kind, whole.index, whole.service, whole.time_key)


def _family_of(name: str) -> tuple[str, str] | None:
    """(prefix, column) of the family that a key belongs to."""
    return next(((prefix, spelling) for prefix, spelling in FAMILIES.items()
                 if name.lower().startswith(prefix)), None)


def is_derived(key: str) -> bool:
    """Does a key follow from records as they always are? Others are told by an `eventContext`, or
    (tags of principals) by the call that began the session; where they do not tell it, nothing
    is known of it."""
    lower = key.lower()
    return lower in _derived_keys() or _family_of(lower) is not None


@cache
def _derived_keys() -> frozenset[str]:
    return frozenset(name.lower() for name in _all_keys())


def session_tag(key: str) -> str | None:
    """The name, in lower case, of the tag of a requester that a key asks for; None for others."""
    lower = key.lower()
    is_one = lower.startswith(_SESSION_TAG) and len(lower) > len(_SESSION_TAG)
    return lower.removeprefix(_SESSION_TAG) if is_one else None


def _all_keys() -> list[str]:
    """Every key with one fixed name that records tell something about."""
    return [*_TIME_KEYS, *CALLER_KEYS, *all_request_keys()]
