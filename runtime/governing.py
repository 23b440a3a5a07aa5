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
# service          resource                                  policies are attached to
s3                 arn:P:s3:::<bucket>/<+key>                arn:P:s3:::<bucket>
s3                 accesspoint/<name>/<+object>              accesspoint/<name>
s3                 access-grants/<instance>/<+rest>          access-grants/<instance>
s3-object-lambda   accesspoint/<name>/<+object>              accesspoint/<name>
s3-outposts        outpost/<id>/bucket/<bucket>/<+key>       outpost/<id>/bucket/<bucket>
s3-outposts        outpost/<id>/accesspoint/<name>/<+key>    outpost/<id>/accesspoint/<name>
s3express          bucket/<bucket>/<+key>                    bucket/<bucket>
s3express          accesspoint/<name>/<+object>              accesspoint/<name>
s3tables           bucket/<bucket>/table/<table>             = bucket/<bucket>
s3vectors          bucket/<bucket>/index/<index>             bucket/<bucket>
lambda             function:<name>:<qualifier>               = function:<name>
dynamodb           table/<table>/index/<index>               table/<table>
kms                alias/<+alias>                            KEY
sns                <topic>:<subscription>                    <topic>
es                 domain/<domain>/<+path>                   domain/<domain>
execute-api        <api>/<+path>                             <api> arn:P:apigateway:R::/restapis/<api>
execute-api        <api>                                     = arn:P:apigateway:R::/restapis/<api>
apigateway         /restapis/<api>/<+path>                   /restapis/<api>
glue               database/<database>                       catalog
glue               table/<database>/<table>                  catalog
glue               tableVersion/<database>/<table>/<version> catalog
glue               userDefinedFunction/<database>/<function> catalog
glue               connection/<connection>                   catalog
logs               log-group:<group>                         = log-group:<group>:* *
logs               log-group:<group>:<+stream>               log-group:<group> log-group:<group>:* *
xray               group/<+name>                             = *
xray               sampling-rule/<+name>                     = *
events             rule/<bus>/<rule>                         event-bus/<bus>
events             rule/<rule>                               event-bus/default
schemas            schema/<registry>/<+schema>               registry/<registry>
codeartifact       package/<domain>/<repository>/<+package>  repository/<domain>/<repository>
acm-pca            certificate-authority/<id>/<+rest>        certificate-authority/<id>
kafka              topic/<cluster>/<id>/<topic>              cluster/<cluster>/<id>
kafka              group/<cluster>/<id>/<group>              cluster/<cluster>/<id>
kafka              transactional-id/<cluster>/<id>/<name>    cluster/<cluster>/<id>
vpc-lattice        service/<service>/<+path>                 service/<service>
"""
"""Kind of resource -> where its policy is attached, best first.

`<name>` is text without the separators of its line (`:`, `/`), `<+name>` any text, `=` the resource
itself. What does not start with `arn:` stands in the partition, region and account of the resource;
P and R are its partition and region. KEY is the key that the caller knows an alias to stand for.

Carrying their own policies and so not listed: buckets, access points, queues, topics, keys, secrets,
functions, layer versions, tables and their streams (a table's policy cannot speak for its stream),
image repositories, file systems, backup vaults, event buses, roles (their trust policy). A recovery
point does not tell its vault, nor a file system's access point its file system. An account's policies
of CloudWatch Logs and X-Ray are filed under the ARN whose resource is `*`.
"""

_VARIABLE = re.compile(r"<(\+?)([A-Za-z]+)>")


class _Form(NamedTuple):
    """A governing ARN: a `%` format, and the groups of the match that fill it."""

    text: str
    groups: tuple[int, ...]


class _Rule(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    forms: tuple[_Form, ...]
    """Empty for an alias."""


def governing_arns(
    resource: str, key_of_alias: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """ARNs whose resource policy speaks for `resource`, in order of preference.

    key_of_alias : ARN of a KMS alias -> ARN of its key, as far as known

    A resource without a rule is governed by its own policy. Empty for what is no ARN (`*`).
    """
    fields = resource.split(":", 5)
    if len(fields) < 6:
        return ()
    for match_rule, forms in _RULES.get(fields[2], ()):
        match = match_rule(resource)
        if match is not None:
            if not forms:
                key = key_of_alias.get(resource) if key_of_alias is not None else None
                return (resource,) if key is None else (key,)
            return tuple([text % match.group(*groups) for text, groups in forms])
    return (resource,)


def _whole(service: str, text: str) -> str:
    """`text` as an ARN whose partition, region and account are the variables P, R and A."""
    if not text.startswith("arn:"):
        return f"arn:<P>:{service}:<R>:<A>:{text}"
    return text.replace("arn:P:", "arn:<P>:").replace(":R:", ":<R>:")


def _compile(service: str, kind: str, *governing: str) -> _Rule:
    """One line of the table."""
    separators = "".join(c for c in ":/" if c in kind.rpartition(":::")[2]) or ":/"
    pattern, at, names = "", 0, []
    whole = _whole(service, kind)
    for variable in _VARIABLE.finditer(whole):
        is_field = variable[2] in ("P", "R", "A")
        pattern += re.escape(whole[at : variable.start()])
        pattern += "(.*)" if variable[1] else "([^:]*)" if is_field else f"([^{separators}]+)"
        names.append(variable[2])
        at = variable.end()
    pattern += re.escape(whole[at:])
    forms = []
    for arn in governing if governing != ("KEY",) else ():
        if arn == "=":
            forms.append(_Form("%s", (0,)))
            continue
        text = _whole(service, arn)
        used = tuple(names.index(variable[2]) + 1 for variable in _VARIABLE.finditer(text))
        forms.append(_Form(_VARIABLE.sub("%s", text), used))
    return _Rule(re.compile(pattern, re.DOTALL).fullmatch, tuple(forms))


def _compile_table(table: str) -> dict[str, tuple[_Rule, ...]]:
    rules: dict[str, tuple[_Rule, ...]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            service, *rest = line.split()
            rules[service] = (*rules.get(service, ()), _compile(service, *rest))
    return rules


_RULES = _compile_table(GOVERNED)
