"""Condition keys that follow from who called and from where, in three states.

Section 6 of docs/spec/cloudtrail.md; every function answers for one key with a value, `None`
(certainly absent) or NOT_SHOWN (unknown). Keys that no function knows are not in a batch's context
and count as unknown. Request parameters are read in `request_keys`, times in the reader.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from .classes import Requester
from .parameters import NOT_SHOWN, _Unknown, is_hidden
from .principals import CONSOLE, INTERNAL, Principal, is_service
from .records import Attributes, TlsDetails, UserIdentity

KeyValue = str | list[str] | None | _Unknown


class Caller(msgspec.Struct, frozen=True, gc=False):
    """What a record says about its caller: the input of every function here."""

    identity: UserIdentity | None
    principal: Principal
    source_ip: str | None
    user_agent: str | None
    region: str | None
    vpce: str | None
    vpce_account: str | None
    tls: TlsDetails | None
    authentication: str | None
    signature: str | None

    @property
    def requester(self) -> Requester:
        return self.principal.requester

    @property
    def attributes(self) -> Attributes | None:
        context = self.identity.sessionContext if self.identity is not None else None
        return context.attributes if context is not None else None

    @property
    def is_identified(self) -> bool:
        return self.identity is not None and self.requester != Requester.UNKNOWN

    @property
    def is_signed_by_customer(self) -> bool:
        """A user, role session or root, so that the session facts of the record apply."""
        return self.identity is not None and self.identity.type in (
            "Root", "IAMUser", "AssumedRole", "Role", "FederatedUser")

    @property
    def via_service(self) -> str | _Unknown | None:
        """The service that called with the caller's credentials; None when nobody did."""
        if self.identity is None:
            return NOT_SHOWN
        invoked_by = self.identity.invokedBy
        if not invoked_by or self.identity.type == "AWSService":
            return None
        if invoked_by in (INTERNAL, CONSOLE) or not is_service(invoked_by):
            return NOT_SHOWN
        return invoked_by if self.identity.arn else None


@cache
def key_table() -> dict[str, Any]:
    text = (files("iamtables.data") / "cloudtrail-keys.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@lru_cache(maxsize=65_536)
def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _source_ip(caller: Caller) -> KeyValue:
    if caller.vpce:
        return None
    return _address(caller.source_ip) or NOT_SHOWN


def _vpc_source_ip(caller: Caller) -> KeyValue:
    address = _address(caller.source_ip)
    if caller.vpce:
        return address or NOT_SHOWN
    return None if address else NOT_SHOWN


def _vpce(caller: Caller) -> KeyValue:
    if caller.vpce:
        return caller.vpce
    return None if _address(caller.source_ip) else NOT_SHOWN


def _vpce_account(caller: Caller) -> KeyValue:
    if caller.vpce_account:
        return caller.vpce_account
    return None if _vpce(caller) is None else NOT_SHOWN


def _user_agent(caller: Caller) -> KeyValue:
    agent = caller.user_agent
    if not agent or is_hidden(agent) or agent == INTERNAL or is_service(agent):
        return NOT_SHOWN
    return agent[1:-1] if agent.startswith("[") and agent.endswith("]") else agent


def _region(caller: Caller) -> KeyValue:
    return caller.region or NOT_SHOWN


def _flag(value: str | bool) -> str:
    return str(value).lower()


def _mfa(caller: Caller) -> KeyValue:
    if not caller.is_signed_by_customer:
        return NOT_SHOWN if not caller.is_identified else None
    attributes = caller.attributes
    if attributes is None or attributes.mfaAuthenticated is None:
        return None
    flag = _flag(attributes.mfaAuthenticated)
    return flag if flag in ("true", "false") else NOT_SHOWN


def _token_issue_time(caller: Caller) -> KeyValue:
    if not caller.is_signed_by_customer:
        return NOT_SHOWN if not caller.is_identified else None
    identity = caller.identity
    if identity is not None and (identity.accessKeyId or "").startswith("AKIA"):
        return None
    attributes = caller.attributes
    if attributes is not None and attributes.creationDate:
        return attributes.creationDate
    is_session = identity is not None and identity.type in ("AssumedRole", "FederatedUser", "Role")
    return NOT_SHOWN if is_session else None


def _principal_arn(caller: Caller) -> KeyValue:
    if caller.requester in (Requester.SERVICE, Requester.ANONYMOUS):
        return None
    if caller.identity is not None and caller.identity.type == "FederatedUser":
        return caller.identity.arn or NOT_SHOWN
    if caller.requester in (Requester.UNKNOWN, Requester.FEDERATED_PROVIDER):
        return NOT_SHOWN
    return caller.principal.arn or NOT_SHOWN


def _principal_account(caller: Caller) -> KeyValue:
    if caller.requester == Requester.ANONYMOUS:
        return "anonymous"
    account = caller.identity.accountId if caller.identity is not None else None
    if caller.requester == Requester.SERVICE or not account or is_hidden(account):
        return NOT_SHOWN
    return account


_TYPES = {"Root": "Account", "IAMUser": "User", "AssumedRole": "AssumedRole",
          "Role": "AssumedRole", "FederatedUser": "FederatedUser"}


def _principal_type(caller: Caller) -> KeyValue:
    if caller.requester == Requester.ANONYMOUS:
        return "Anonymous"
    return _TYPES.get(caller.identity.type or "", NOT_SHOWN) if caller.identity else NOT_SHOWN


def _user_id(caller: Caller) -> KeyValue:
    if caller.requester == Requester.ANONYMOUS:
        return "anonymous"
    if not caller.is_signed_by_customer or caller.identity is None:
        return NOT_SHOWN
    found = caller.identity.principalId
    return NOT_SHOWN if not found or is_hidden(found) else found


def _user_name(caller: Caller) -> KeyValue:
    identity = caller.identity
    if identity is None or not caller.is_identified:
        return NOT_SHOWN
    if identity.type != "IAMUser":
        return None if identity.type != "AWSAccount" or _is_anonymous(caller) else NOT_SHOWN
    if identity.userName:
        return NOT_SHOWN if is_hidden(identity.userName) else identity.userName
    name = (identity.arn or "").partition(":user/")[2].rpartition("/")[2]
    return name or NOT_SHOWN


def _is_anonymous(caller: Caller) -> bool:
    return caller.requester == Requester.ANONYMOUS


def _is_service(caller: Caller) -> KeyValue:
    if not caller.is_identified:
        return NOT_SHOWN
    return "true" if caller.requester == Requester.SERVICE else "false"


def _service_name(caller: Caller) -> KeyValue:
    if caller.requester == Requester.SERVICE:
        return caller.principal.arn or NOT_SHOWN
    return None if caller.is_identified else NOT_SHOWN


def _via_service(caller: Caller) -> KeyValue:
    via = caller.via_service
    if via is NOT_SHOWN:
        return NOT_SHOWN
    return "true" if via else "false"


def _called_via(caller: Caller) -> KeyValue:
    via = caller.via_service
    if via is None or isinstance(via, _Unknown):
        return via
    return [via] if via in key_table()["called_via"] else NOT_SHOWN


def _called_via_first(caller: Caller) -> KeyValue:
    return None if caller.via_service is None else NOT_SHOWN


def _called_via_last(caller: Caller) -> KeyValue:
    called = _called_via(caller)
    return called[-1] if isinstance(called, list) else called


def _kms_via_service(caller: Caller) -> KeyValue:
    via = caller.via_service
    if caller.requester == Requester.SERVICE:
        return NOT_SHOWN
    if via is None or isinstance(via, _Unknown):
        return via
    label, _, suffix = via.partition(".")
    if suffix != "amazonaws.com" or not caller.region:
        return NOT_SHOWN
    return f"{label}.{caller.region}.amazonaws.com"


def _secure_transport(caller: Caller) -> KeyValue:
    return "true" if caller.tls is not None and caller.tls.tlsVersion else NOT_SHOWN


def _tls_version(caller: Caller) -> KeyValue:
    version = caller.tls.tlsVersion if caller.tls is not None else None
    return version.removeprefix("TLSv") if version else NOT_SHOWN


def _federated_provider(caller: Caller) -> KeyValue:
    identity = caller.identity
    if identity is None or not caller.is_signed_by_customer:
        return NOT_SHOWN
    web = identity.sessionContext.webIdFederationData if identity.sessionContext else None
    if web is not None and web.federatedProvider:
        return web.federatedProvider
    return NOT_SHOWN if identity.type in ("AssumedRole", "Role") else None


def _from_session(field: str) -> Callable[[Caller], KeyValue]:
    """A fact that a session records when it has it; without it the key is absent."""

    def read(caller: Caller) -> KeyValue:
        if not caller.is_signed_by_customer or caller.identity is None:
            return NOT_SHOWN if not caller.is_identified else None
        context = caller.identity.sessionContext
        value = getattr(context, field) if context is not None else None
        if value is None or value == "":
            return None
        return _flag(value) if isinstance(value, bool) else str(value)

    return read


def _source_instance(caller: Caller) -> KeyValue:
    """Absent for sessions that are no instance's; the region of an instance is not recorded."""
    if not caller.is_identified:
        return NOT_SHOWN
    name = caller.principal.session or ""
    return NOT_SHOWN if name.startswith("i-") else None


def _identity_store_user(caller: Caller) -> KeyValue:
    identity = caller.identity
    behind = identity.onBehalfOf if identity is not None else None
    if behind is not None and behind.userId:
        return behind.userId
    return None if caller.is_identified else NOT_SHOWN


_AUTHENTICATION = {"AuthHeader": "REST-HEADER", "QueryString": "REST-QUERY-STRING"}
_SIGNATURES = {"SigV4": "AWS4-HMAC-SHA256", "SigV2": "AWS"}


def _s3_authentication(caller: Caller) -> KeyValue:
    return _AUTHENTICATION.get(caller.authentication or "", NOT_SHOWN)


def _s3_signature(caller: Caller) -> KeyValue:
    return _SIGNATURES.get(caller.signature or "", NOT_SHOWN)


@dataclass(frozen=True, slots=True)
class CallerKey:
    """One key: its usual spelling, the function, the record fields it needs beyond the identity."""

    spelling: str
    read: Callable[[Caller], KeyValue]
    needs: frozenset[str] = frozenset()
    service: str | None = None
    """The key is in the context of this service's requests only."""


def _keys(*keys: CallerKey) -> dict[str, CallerKey]:
    return {key.spelling.lower(): key for key in keys}


_NETWORK = frozenset({"ip", "vpce"})
_TLS = frozenset({"tls"})
_SIGNING = frozenset({"additional"})

CALLER_KEYS: dict[str, CallerKey] = _keys(
    CallerKey("aws:SourceIp", _source_ip, _NETWORK),
    CallerKey("aws:VpcSourceIp", _vpc_source_ip, _NETWORK),
    CallerKey("aws:SourceVpce", _vpce, _NETWORK),
    CallerKey("aws:VpceAccount", _vpce_account, _NETWORK),
    CallerKey("aws:UserAgent", _user_agent, frozenset({"agent"})),
    CallerKey("aws:RequestedRegion", _region),
    CallerKey("aws:MultiFactorAuthPresent", _mfa),
    CallerKey("aws:TokenIssueTime", _token_issue_time),
    CallerKey("aws:PrincipalArn", _principal_arn),
    CallerKey("aws:PrincipalAccount", _principal_account),
    CallerKey("aws:PrincipalType", _principal_type),
    CallerKey("aws:userid", _user_id),
    CallerKey("aws:username", _user_name),
    CallerKey("aws:PrincipalIsAWSService", _is_service),
    CallerKey("aws:PrincipalServiceName", _service_name),
    CallerKey("aws:ViaAWSService", _via_service),
    CallerKey("aws:CalledVia", _called_via),
    CallerKey("aws:CalledViaFirst", _called_via_first),
    CallerKey("aws:CalledViaLast", _called_via_last),
    CallerKey("aws:SecureTransport", _secure_transport, _TLS),
    CallerKey("aws:FederatedProvider", _federated_provider),
    CallerKey("aws:SourceIdentity", _from_session("sourceIdentity")),
    CallerKey("aws:AssumedRoot", _from_session("assumedRoot")),
    CallerKey("ec2:RoleDelivery", _from_session("ec2RoleDelivery")),
    CallerKey("ec2:SourceInstanceArn", _source_instance),
    CallerKey("identitystore:UserId", _identity_store_user),
    CallerKey("kms:ViaService", _kms_via_service, service="kms"),
    CallerKey("ec2:Region", _region, service="ec2"),
    CallerKey("s3:TlsVersion", _tls_version, _TLS, service="s3"),
    CallerKey("s3:authType", _s3_authentication, _SIGNING, service="s3"),
    CallerKey("s3:signatureversion", _s3_signature, _SIGNING, service="s3"),
)
