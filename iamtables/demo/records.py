"""Templates compiled to functions that write one CloudTrail record each.

A `Call` becomes one %-template of the whole record per outcome (success, denied, throttled,
invalid). What does not change between records is in the text already; filling it draws a session
and one value for each pool it names. Sessions are serialised beforehand (world.py), so a record
costs a few microseconds, most of it one `%` with a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Final

from .calls import CALLS, ERRORS, Call
from .world import PARTNER, Identity

Sessions = Mapping[str, Sequence[Identity]]
RecordWriter = Callable[[Random, Sessions, str, str], str]
"""(rng, sessions, event time, 64 hexadecimal digits of ids) -> the record as JSON text."""

_NAMES = re.compile(r"%\((\w+)\)s")
_FIXED: Final = frozenset({"account", "region", "action", "caller", "identity", "time",
                          "address", "agent_text", "request_id", "event_id"})
_GLOBAL_SOURCES: Final = frozenset({"iam", "signin", "billingconsole"})
_PARTNER_IDENTITY = (
    '{"type":"AWSAccount","principalId":"AROAQXPARTNERROLE0042:reader",'
    f'"accountId":"{PARTNER}"}}'
)
_SAML_IDENTITY = (
    '{"type":"SAMLUser","principalId":"Zm9vYmFy:ana@example.com","userName":"ana@example.com",'
    '"identityProvider":"Zm9vYmFy"}'
)


def _skewed(rng: Random, size: int) -> int:
    """An index below `size`; the first tenth gets almost half of the draws."""
    return int(size * rng.random() ** 3)


def _record_template(call: Call, outcome: str) -> str:
    """The whole record of one outcome of a call, `%(...)s` where it varies."""
    source = f"{call.source}.amazonaws.com"
    is_api_call = call.event_type == "AwsApiCall"
    error = ""
    if outcome:
        code, message = ERRORS[outcome]
        if outcome == "denied" and call.source == "ec2":
            code = "Client.UnauthorizedOperation"
        elif outcome == "denied" and call.source in ("bedrock", "sagemaker", "kms"):
            code = "AccessDeniedException"
        if outcome == "denied":
            message = message.replace("{on_resource}",
                                      f" on resource: {call.arn}" if call.arn else "")
        error = f'"errorCode":"{code}","errorMessage":"{message}",'
    has_parameters = bool(call.params) and not (outcome == "throttled" and call.source == "ec2")
    resources = ""
    if call.resource_type:
        kind = "" if call.resource_type == "-" else f',"type":"{call.resource_type}"'
        resources = f'"resources":[{{"accountId":"%(account)s"{kind},"ARN":"{call.arn}"}}],'
    region = "us-east-1" if call.source in _GLOBAL_SOURCES else "%(region)s"
    host = f"{call.source}.%(region)s.amazonaws.com"
    tls = (
        ',"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",'
        f'"clientProvidedHostHeader":"{host}"}}'
        if is_api_call and not call.via and call.who not in ("service", "event") else ""
    )
    request = '"requestID":"%(request_id)s",' if is_api_call else ""
    return (
        '{"eventVersion":"1.11","userIdentity":%(identity)s,"eventTime":"%(time)s",'
        f'"eventSource":"{source}","eventName":"{call.event}","awsRegion":"{region}",'
        f'"sourceIPAddress":"%(address)s","userAgent":"%(agent_text)s",{error}'
        f'"requestParameters":{call.params if has_parameters else "null"},'
        f'"responseElements":{call.response if call.response and not outcome else "null"}'
        f'{call.extra if not outcome else ""},{request}"eventID":"%(event_id)s",'
        f'"readOnly":{"true" if call.is_read else "false"},{resources}'
        f'"eventType":"{call.event_type}","managementEvent":{"false" if call.is_data else "true"},'
        f'"recipientAccountId":"%(account)s",'
        f'"eventCategory":"{"Data" if call.is_data else "Management"}"{tls}}}'
    )


def _requester(call: Call, account: str, pools: Mapping[str, Sequence[str]]
               ) -> Callable[[Random, Sessions], tuple[str, str, str, str]]:
    """A function that draws (userIdentity, address, agent, caller's ARN) for one record."""
    if call.who == "service":
        services = pools["service"]

        def service(rng: Random, sessions: Sessions) -> tuple[str, str, str, str]:
            name = services[_skewed(rng, len(services))]
            return f'{{"type":"AWSService","invokedBy":"{name}"}}', name, name, name

        return service
    if call.who in ("root", "anonymous", "partner", "saml", "event"):
        arn = f"arn:aws:iam::{account}:root"
        source = f"{call.source}.amazonaws.com"
        fixed = {
            "root": (f'{{"type":"Root","principalId":"{account}","arn":"{arn}","accountId":'
                     f'"{account}","accessKeyId":"ASIAROOTROOTROOTROOT","sessionContext":'
                     '{"attributes":{"creationDate":"2025-01-09T08:00:00Z","mfaAuthenticated":'
                     '"true"}}}', "192.0.2.10", "Mozilla/5.0", arn),
            "anonymous": ('{"type":"AWSAccount","principalId":"","accountId":'
                          '"ANONYMOUS_PRINCIPAL"}', "198.51.100.200", "[curl/8.11.1]", "anonymous"),
            "partner": (_PARTNER_IDENTITY, "203.0.113.99", "aws-sdk-java/2.29.45", PARTNER),
            "saml": (_SAML_IDENTITY, "198.51.100.17", "aws-sso-portal", "ana@example.com"),
            "event": (f'{{"accountId":"{account}","invokedBy":"{source}"}}', source, source,
                      source),
        }[call.who]
        return lambda rng, sessions: fixed

    personas, weights = [], []
    for part in call.who.split():
        name, weight = part.split(":")
        personas.append(name)
        weights.append(float(weight))
    bounds = list(accumulate(weights))
    via = call.via

    def signed(rng: Random, sessions: Sessions) -> tuple[str, str, str, str]:
        name = rng.choices(personas, cum_weights=bounds)[0]
        choices = sessions[name]
        session = choices[_skewed(rng, len(choices))]
        if via:
            return session.via_json % via, via, via, session.arn
        return session.json, session.address, session.agent, session.arn

    return signed


def compile_call(call: Call, account: str, region: str, pools: Mapping[str, Sequence[str]]
                 ) -> RecordWriter:
    """The writer of one kind of call in one account and region."""
    outcomes = ["", "denied", "throttled", "invalid"]
    failing = [call.denied, call.throttled, call.invalid]
    bounds = list(accumulate([1 - sum(failing), *failing]))
    region_here = "us-east-1" if call.source in _GLOBAL_SOURCES else region
    known = {"account": account, "region": region_here,
             "action": call.action or f"{call.source}:{call.event}"}

    def settle(text: str) -> str:
        """Fill in what is fixed for this account and region; a literal `%` is not expected."""
        return _NAMES.sub(lambda m: known.get(m[1], m[0]), text)

    templates = [settle(_record_template(call, outcome)) for outcome in outcomes]
    names = sorted(set(_NAMES.findall("".join(templates))) - _FIXED)
    drawn = [(name, pools[name], len(pools[name])) for name in names]
    draw_requester = _requester(call, account, pools)
    may_fail = any(failing)

    def write(rng: Random, sessions: Sessions, time: str, digits: str) -> str:
        identity, address, agent, caller = draw_requester(rng, sessions)
        values = {
            "identity": identity, "time": time, "address": address, "agent_text": agent,
            "caller": caller,
            "request_id": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-"
                          f"{digits[20:32]}",
            "event_id": f"{digits[32:40]}-{digits[40:44]}-4{digits[45:48]}-9{digits[49:52]}-"
                        f"{digits[52:64]}",
        }
        for name, pool, size in drawn:
            values[name] = pool[_skewed(rng, size)]
        which = 0
        if may_fail:
            at = rng.random()
            while at > bounds[which] and which < 3:
                which += 1
        return templates[which] % values

    return write


def compile_calls(account: str, region: str, pools: Mapping[str, Sequence[str]]
                  ) -> tuple[list[RecordWriter], list[float]]:
    """Writers of every kind of call with their cumulative weights."""
    writers = [compile_call(call, account, region, pools) for call in CALLS]
    return writers, list(accumulate(call.share for call in CALLS))
