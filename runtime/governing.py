"""Which resource carries the policy that speaks for a resource: object -> bucket, index -> table.

`GOVERNED` is the table: for a kind of resource, as its ARN is written, the ARNs at which its policy
may be attached, the likeliest first. A kind that is not listed carries its own policy or none.
String work only; what needs knowledge beyond the ARN (the key of an alias) is given by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

GOVERNED = """
# service        resource                                  policies are attached to
s3               arn:P:s3:::<bucket>/<+key>                arn:P:s3:::<bucket>
s3               accesspoint/<name>/<+object>              accesspoint/<name>
s3               access-grants/<instance>/<+rest>          access-grants/<instance>
s3-object-lambda accesspoint/<name>/<+object>              accesspoint/<name>
s3-outposts      outpost/<id>/bucket/<bucket>/<+key>       outpost/<id>/bucket/<bucket>
s3-outposts      outpost/<id>/accesspoint/<name>/<+key>    outpost/<id>/accesspoint/<name>
s3express        bucket/<bucket>/<+key>                    bucket/<bucket>
s3express        accesspoint/<name>/<+object>              accesspoint/<name>
s3tables         bucket/<bucket>/table/<table>             = bucket/<bucket>
s3vectors        bucket/<bucket>/index/<index>             bucket/<bucket>
lambda           function:<name>:<qualifier>               = function:<name>
dynamodb         table/<table>/index/<index>               table/<table>
kms              alias/<+alias>                            KEY
sns              <topic>:<subscription>                    <topic>
es               domain/<domain>/<+path>                   domain/<domain>
execute-api      <api>/<+path>                             <api> arn:P:apigateway:R::/restapis/<api>
execute-api      <api>                                     = arn:P:apigateway:R::/restapis/<api>
apigateway       /restapis/<api>/<+path>                   /restapis/<api>
glue             database/<database>                       catalog
glue             table/<database>/<table>                  catalog
glue             tableVersion/<database>/<table>/<version> catalog
glue             userDefinedFunction/<database>/<function> catalog
glue             connection/<connection>                   catalog
logs             log-group:<group>                         = log-group:<group>:* *
logs             log-group:<group>:<+stream>               log-group:<group> log-group:<group>:* *
xray             group/<+name>                             = *
xray             sampling-rule/<+name>                     = *
events           rule/<bus>/<rule>                         event-bus/<bus>
events           rule/<rule>                               event-bus/default
schemas          schema/<registry>/<+schema>               registry/<registry>
codeartifact     package/<domain>/<repository>/<+package>  repository/<domain>/<repository>
acm-pca          certificate-authority/<id>/<+rest>        certificate-authority/<id>
kafka            topic/<cluster>/<id>/<topic>              cluster/<cluster>/<id>
kafka            group/<cluster>/<id>/<group>              cluster/<cluster>/<id>
kafka            transactional-id/<cluster>/<id>/<name>    cluster/<cluster>/<id>
vpc-lattice      service/<service>/<+path>                 service/<service>
"""
"""Kind of resource -> where its policy is attached, best first.

`<name>` is text without the separators of its line (`:`, `/`), `<+name>` any text, `=` the resource
itself. What does not start with `arn:` stands in the partition, region and account of the resource;
P and R are its partition and region. KEY is the key that the caller knows an alias to stand for.

Carrying their own policies and so not listed: buckets, access points, queues, topics, keys,
secrets, functions, layer versions, tables and their streams (a table's policy cannot speak for its
stream), image repositories, file systems, backup vaults, event buses, roles (their trust policy).
A recovery point does not tell its vault, nor a file system's access point its file system. An
account's policies of CloudWatch Logs and X-Ray are filed under the ARN whose resource is `*`.
"""

_VARIABLE = re.compile(r"<(\+?)([a-z]+)>")


class _Rule(NamedTuple):
    head: str
    """What the resource field starts with."""
    match: Callable[[str], re.Match[str] | None]
    is_global: bool
    """Region and account are empty."""
    forms: tuple[str, ...]
    """Format of each governing ARN, `%` for one of the resource's place, else `str.format`."""
    groups: tuple[tuple[int, ...], ...]
    """The groups of the match that fill each form."""


def governing_arns(resource: str, key_of_alias: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """ARNs whose resource policy speaks for `resource`, in order of preference.

    key_of_alias : ARN of a KMS alias -> ARN of its key, as far as known

    A resource without a rule is governed by its own policy. Empty for what is no ARN (`*`).
    """
    fields = resource.split(":", 5)
    if len(fields) < 6:
        return ()
    tail = fields[5]
    for head, match_rule, is_global, forms, groups in _RULES.get(fields[2], ()):
        if not tail.startswith(head) or (is_global and (fields[3] or fields[4])):
            continue
        match = match_rule(tail)
        if match is None:
            continue
        place = resource[: len(resource) - len(tail)]
        if len(forms) == 1:  # by far the most
            return (place + forms[0] % match.group(*groups[0]),)
        if not forms:
            key = key_of_alias.get(resource) if key_of_alias is not None else None
            return (resource,) if key is None else (key,)
        return tuple(
            [
                form.format(fields, match)
                if form.startswith("arn:")
                else place + form % match.group(*used)
                for form, used in zip(forms, groups, strict=True)
            ]
        )
    return (resource,)


def _compile(service: str, kind: str, *governing: str) -> _Rule:
    """One line of the table."""
    blank = f"arn:P:{service}:::"
    tail = kind.removeprefix(blank)
    separators = "".join(c for c in ":/" if c in tail) or ":/"
    pattern, at, names = "", 0, []
    for variable in _VARIABLE.finditer(tail):
        pattern += re.escape(tail[at : variable.start()])
        pattern += "(.*)" if variable[1] else f"([^{separators}]+)"
        names.append(variable[2])
        at = variable.end()
    pattern += re.escape(tail[at:])
    forms, groups = [], []
    for arn in governing if governing != ("KEY",) else ():
        text = "%s" if arn == "=" else arn.removeprefix(blank)
        used = [] if arn == "=" else [names.index(v[2]) + 1 for v in _VARIABLE.finditer(text)]
        if text.startswith("arn:"):
            assert len(governing) > 1  # `governing_arns` takes a single form to be of the place
            text = text.replace("arn:P:", "arn:{0[1]}:").replace(":R:", ":{0[3]}:")
            text = _VARIABLE.sub(lambda v: f"{{1[{names.index(v[2]) + 1}]}}", text)
        elif not used and arn != "=":
            text = text.replace("%", "%%") + "%.0s"  # takes the whole match, prints none of it
        else:
            text = _VARIABLE.sub("%s", text)
        forms.append(text)
        groups.append(tuple(used) or (0,))
    head = tail.partition("<")[0]
    match = re.compile(pattern, re.DOTALL).fullmatch
    return _Rule(head, match, kind != tail, tuple(forms), tuple(groups))


def _compile_table(table: str) -> dict[str, tuple[_Rule, ...]]:
    rules: dict[str, tuple[_Rule, ...]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            service, *rest = line.split()
            rules[service] = (*rules.get(service, ()), _compile(service, *rest))
    return rules


_RULES = _compile_table(GOVERNED)

HAVE_RULES = frozenset(_RULES)
"""Services of whose resources some are governed by other ARNs than their own."""

GOVERNED_FROM_ELSEWHERE = frozenset(
    service
    for service, rules in _RULES.items()
    if any(form.startswith("arn:") for rule in rules for form in rule.forms)
)
"""Services whose resources may be governed from another partition, service, region or account."""
