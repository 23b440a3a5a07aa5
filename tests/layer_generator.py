"""Seeded worlds of all policy types and requests of every kind of requester, biased to trouble.

What generator.py is for one layer, this is for seven: patterns, conditions, values and faults are
made there, and here who asks, who is named and what stands between them. Requesters, principal
entries, actions and resources of a world come from one small cast, so that they meet; half a dozen
kinds of requester ask in one batch. Every gate is open more often than shut, since one shut gate
of seven hides the rest.

A world asks about roles only or about everything but roles, because the resource policy of a role
is a trust policy and has another grammar (GRAM-40). Everything depends on the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from generator import Maker, Obj, Raw, Value, _statements, emit

HOME, FOREIGN = "111122223333", "444455556666"
CANONICAL = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"

LISTS = ("identity", "boundary", "session", "vpce")
LEVELS = ("scps", "rcps")
"""Policy types given as levels from the organization root to the account."""
POLICY_TYPES = {"identity": "identity", "boundary": "boundary", "session": "session",
                "vpce": "vpce", "scps": "scp", "rcps": "rcp", "resource": "resource"}

CHOICES = {
    "resource_glob": ("span", "segment"), "resource_early_vars": ("substitute", "literal"),
    "null_notresource": ("match", "nomatch"), "null_empty_string": ("null", "value"),
    "multivalued_plain": ("never", "any"), "notprincipal": ("any", "chain"),
    "trust_boundary": ("limit", "bypass"), "missing_required_policy": ("deny", "account"),
}
"""The usual and the other value of each option; `invalid_statement` is drawn apart."""


@dataclass(frozen=True)
class LayerRequest:
    """One question with its requester. `resource` None is unknown, and so are the keys `unknown`;
    None elsewhere is not given."""

    principal: str
    action: str
    resource: str | None
    context: dict[str, Value] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    issuer_arn: str | None = None
    principal_account: str | None = None
    principal_type: str | None = None
    resource_account: str | None = None
    is_management_account: bool = False


@dataclass
class LayerWorld:
    """Policies of every type as trees, in the form of section 8; options; what to ask.

    `values` and `resources` are the completions of an unknown key or resource.
    """

    seed: int
    policies: dict[str, Any]
    options: dict[str, str]
    requests: list[LayerRequest]
    is_trust: bool
    keys: tuple[str, ...] = ()
    values: dict[str, list[Value | None]] = field(default_factory=dict)
    resources: list[str] = field(default_factory=list)


def documents(policies: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, tree) of every document: `identity.0`, `scps.1.0` (level, document), `resource`."""
    for layer in LISTS:
        for at, tree in enumerate(policies.get(layer) or []):
            yield f"{layer}.{at}", tree
    for layer in LEVELS:
        for level, trees in enumerate(policies.get(layer) or []):
            for at, tree in enumerate(trees):
                yield f"{layer}.{level}.{at}", tree
    if policies.get("resource") is not None:
        yield "resource", policies["resource"]


def texts_of(policies: dict[str, Any]) -> dict[str, Any]:
    """The same policies as JSON texts."""
    out: dict[str, Any] = {layer: [emit(t) for t in policies.get(layer) or []] for layer in LISTS}
    for layer in LEVELS:
        out[layer] = [[emit(t) for t in level] for level in policies.get(layer) or []]
    resource = policies.get("resource")
    out["resource"] = None if resource is None else emit(resource)
    return out


# --- the cast ---------------------------------------------------------------------------------

_USERS = ("ana", "div/ana", "bob", "Ana")
_ROLES = ("App", "svc/App", "app", "Ops")
_LINKED = "aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
_SERVICES = ("ec2.amazonaws.com", "ec2.us-east-1.amazonaws.com", "x.amazonaws.com.cn",
             "alexa-appkit.amazon.com")
_PROVIDERS = ("arn:aws:iam::{}:saml-provider/Corp", "arn:aws:iam::{}:oidc-provider/id.example.com",
              "accounts.google.com", "cognito-identity.amazonaws.com", "www.amazon.com",
              "graph.facebook.com")
_KINDS = {
    "user": 6, "session": 6, "issued session": 3, "role": 2, "linked by issuer": 1.2,
    "linked by name": 1, "linked role": 0.6, "not linked": 0.6, "federated user": 2,
    "issued federated user": 1.5, "root": 2, "assumed root": 1.2, "service": 2.5, "provider": 1.5,
    "anonymous": 1.5, "canonical user": 0.8, "odd": 0.3,
}
_ODD = (
    ("bob", None), ("arn:aws:iam::111122223333:group/devs", None), ("arn:aws:s3:::b", None),
    ("arn:aws:iam::111122223333:user/", None), ("arn:aws:iam::111122223333:user/ana", "Robot"),
    ("ec2.amazonaws.org", None), ("", None), ("anonymous", "AWS"), ("ec2.amazonaws.com", "AWS"),
    ("arn:aws:sts::111122223333:session/x", None),
)
"""Principals that nobody can be (PRIN-2): both evaluators refuse them."""

# --- what is asked ----------------------------------------------------------------------------

_ACTIONS = {
    "plain": ("s3:GetObject", "s3:PutObject", "s3:GetBucketPolicy", "s3:PutBucketPolicy",
              "s3:DeleteBucketPolicy", "sqs:SendMessage", "ec2:DescribeVpcs", "sts:AssumeRole",
              "iam:CreateServiceLinkedRole"),
    "kms": ("kms:Decrypt", "kms:Encrypt", "kms:RetireGrant", "kms:ListKeys", "kms:CreateAlias",
            "kms:Decrypt"),
    "trust": ("sts:AssumeRole", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity",
              "sts:SetContext", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
              "iam:GetRole", "iam:PassRole"),
}
_ALWAYS = ("sts:GetCallerIdentity", "sts:GetSessionToken")
_RESOURCES = {
    "plain": ("arn:aws:s3:::b", "arn:aws:s3:::b/k", "arn:aws:s3:::b/${aws:username}/k",
              "arn:aws:sqs:r:H:q", "arn:aws:sqs:r:F:q", "arn:aws-cn:sqs:r:F:q",
              "arn:aws:s3:r:H:accesspoint/ap", "arn:aws:s3:r:F:accesspoint/ap/object/k",
              "arn:aws:dynamodb:r:H:table/t/index/i", "arn:aws:iam::H:user/ana",
              "arn:aws:x:r:11:y:z"),
    "kms": ("arn:aws:kms:r:H:key/k1", "arn:aws:kms:r:H:key/k2",
            "arn:aws:kms:r:F:key/k1", "arn:aws:kms:r:H:alias/a",
            "arn:aws:kms:r:F:alias/a", "arn:aws-cn:kms:r:F:key/k1",
            "arn:aws:kms:r:H:keys"),
    "trust": ("arn:aws:iam::H:role/Target", "arn:aws:iam::H:role/path/Target",
              "arn:aws:iam::F:role/Target", "arn:aws:iam::F:role/App",
              "arn:aws-cn:iam::F:role/Target"),
}
_TRUST_ACTIONS = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext",
                  "sts:assumerolewithsaml", "sts:assumerolewithwebidentity")

_DENIES = {"identity": 0.15, "boundary": 0.1, "session": 0.1, "resource": 0.17, "scps": 0.1,
           "rcps": 0.85, "vpce": 0.08}
"""How often a statement of a layer is a Deny."""


class LayerMaker:
    """One world in the making."""

    def __init__(self, seed: int) -> None:
        base = self.base = Maker(seed)
        rng = self.rng = base.rng
        self.theme = rng.choices(("plain", "kms", "trust"), (5, 2.5, 3))[0]
        listed = _RESOURCES[self.theme]
        pool = [*rng.sample(listed[:3], 2), rng.choice(listed)]
        self.arns = base.arns = [
            a.replace("H:", f"{HOME}:", 1).replace("F:", f"{FOREIGN}:", 1) for a in pool]
        base.keys = base.keys[:2] if base.keys[0].kind == "S" else base.keys[:3]
        self.actions = rng.sample(_ACTIONS[self.theme], 4)
        if rng.random() < 0.12:
            self.actions[0] = rng.choice(_ALWAYS)
        self.fault_rate = 0.12 if rng.random() < 0.3 else 0.0
        base.fault_rate = self.fault_rate
        self.home = HOME if rng.random() < 0.8 else FOREIGN
        kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=5)
        self.denies = dict(_DENIES)
        if self.theme == "plain" and rng.random() < 0.08:  # EVAL-16
            self.actions = list(_ACTIONS["plain"][1:5])
            kinds[0] = "root"
            self.denies["resource"] = 0.5
        self.cast = [self.requester(kind) for kind in kinds]
        self.has_boundary = rng.random() < 0.4

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    # -- requesters

    def requester(self, kind: str) -> dict[str, Any]:
        """The fields of a requester of this kind, with the context keys that tell of it."""
        rng = self.rng
        account = self.home if self.chance(0.78) else rng.choice((HOME, FOREIGN))
        partition = "aws" if self.chance(0.94) else "aws-cn"
        iam, sts = f"arn:{partition}:iam::{account}", f"arn:{partition}:sts::{account}"
        user, role = rng.choice(_USERS), rng.choice(_ROLES)
        name = role.rsplit("/", 1)[-1]
        out: dict[str, Any] = {"account": account, "names": []}
        named: list[str] = out["names"]
        """Principal ARNs that reach for this requester, or nearly."""
        match kind:
            case "user":
                out |= {"principal": f"{iam}:user/{user}", "id": "AIDAUSER"}
                named += [f"{iam}:user/{rng.choice(_USERS)}"]
            case "session" | "issued session":
                out |= {"principal": f"{sts}:assumed-role/{name}/s{rng.randrange(2)}",
                        "id": "AROAROLE:s0"}
                named += [f"{iam}:role/{role}", f"{iam}:role/{role}",
                          f"{iam}:role/{rng.choice(_ROLES)}"]
                if kind == "issued session":
                    out["issuer_arn"] = rng.choice(
                        (f"{iam}:role/{role}", f"{iam}:role/{role}", f"{iam}:user/{user}",
                         f"{iam}:role/{rng.choice(_ROLES)}"))
            case "role":
                out |= {"principal": f"{iam}:role/{role}", "id": "AROAROLE:s0"}
                named += [f"{sts}:assumed-role/{name}/s0"]
            case "linked by issuer" | "linked by name" | "not linked":
                out |= {"principal": f"{sts}:assumed-role/AWSServiceRoleForX/s0",
                        "id": "AROAROLE:s0"}
                named += [f"{iam}:role/{_LINKED}", f"{iam}:role/AWSServiceRoleForX"]
                if kind != "linked by name":
                    linked = kind == "linked by issuer"
                    out["issuer_arn"] = f"{iam}:role/{_LINKED if linked else 'AWSServiceRoleForX'}"
            case "linked role":
                out |= {"principal": f"{iam}:role/{_LINKED}"}
            case "federated user" | "issued federated user":
                out |= {"principal": f"{sts}:federated-user/{user.rsplit('/', 1)[-1]}",
                        "id": f"{account}:ana"}
                named += [f"{iam}:user/{user}", f"{iam}:user/{user}"]
                if kind.startswith("issued"):
                    out["issuer_arn"] = f"{iam}:user/{rng.choice((user, user, 'bob'))}"
            case "root" | "assumed root":
                out |= {"principal": f"{iam}:root", "id": account}
                if kind == "assumed root":
                    out["assumed root"] = rng.choice(("true", "true", "True", "false", "x", True))
            case "service":
                out |= {"principal": rng.choice(_SERVICES), "account": None}
                if self.chance(0.2):
                    out |= {"principal": "printer.internal", "principal_type": "Service"}
            case "provider":
                out |= {"principal": rng.choice(_PROVIDERS).format(account), "account": None}
                if self.chance(0.2):
                    out |= {"principal": "idp.example.com", "principal_type": "Federated"}
            case "anonymous":
                who, declared = rng.choice(
                    (("anonymous", None), ("*", None), ("anonymous", "Anonymous"),
                     ("nobody", "Anonymous")))
                out |= {"principal": who, "principal_type": declared, "account": None}
            case "canonical user":
                out |= {"principal": CANONICAL, "principal_type": "CanonicalUser",
                        "account": None}
            case "odd":
                who, declared = rng.choice(_ODD)
                out |= {"principal": who, "principal_type": declared, "account": None}
        if out["account"] and out.get("principal_type") is None and self.chance(0.15):
            out["principal_type"] = "AWS"
        if out["account"] and self.chance(0.06):
            out["principal_account"] = rng.choice((HOME, FOREIGN))
        if out["account"] and self.chance(0.07):
            out["is_management_account"] = True
        named.append(out["principal"])
        return out

    # -- principals

    def entry(self) -> tuple[str, str]:
        """One entry of a principal map, mostly one that reaches for somebody of the cast."""
        rng = self.rng
        who = rng.choice(self.cast)
        kind = rng.random()
        if kind < 0.1:
            return self.odd_entry()
        account = who["account"]
        if account is None:
            principal = who["principal"]
            if who.get("principal_type") == "CanonicalUser":
                return "CanonicalUser", principal
            provider = principal.startswith("arn:") or principal in _PROVIDERS[2:]
            is_provider = provider or who.get("principal_type") == "Federated"
            return ("Federated" if is_provider else "Service"), principal
        if kind < 0.3:
            partition = "aws" if self.chance(0.93) else "aws-cn"
            return "AWS", rng.choice((account, f"arn:{partition}:iam::{account}:root"))
        if kind < 0.36 and who.get("id"):
            return "AWS", rng.choice((who["id"].split(":")[0], "AROAGONE", "AIDAUSER", "AROAROLE"))
        return "AWS", rng.choice(who["names"])

    def odd_entry(self) -> tuple[str, str]:
        rng = self.rng
        return rng.choice((
            ("AWS", "*"), ("AWS", "**"), ("AWS", f"arn:aws:iam::{HOME}:user/*"),
            ("AWS", f"arn:aws:iam::{HOME}:role/A?p"), ("AWS", "1111*"), ("Service", "*"),
            ("Service", "ec2.*"), ("Federated", "*"), ("AWS", f"arn:aws:iam::{HOME}:group/devs"),
            ("AWS", "x"), ("AWS", "12345"), ("AWS", ""), ("CanonicalUser", CANONICAL),
            ("CanonicalUser", "0" * 64), ("AWS", "AROAGONE"), ("Service", _SERVICES[0]),
            ("Federated", "accounts.google.com"), ("Service", f"arn:aws:iam::{HOME}:user/ana"),
            ("AWS", _SERVICES[0]), ("CanonicalUser", HOME), ("Service", _SERVICES[1]),
        ))

    def principal(self) -> Any:
        """The value of a `Principal`."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.26:
            return "*"
        if kind < 0.34:
            return Obj([("AWS", rng.choice(("*", ["*"], ["x", "*"])))])
        if kind < 0.345:
            return Obj([("AWS", [])]) if self.chance(0.5) else Obj()
        found: dict[str, list[str]] = {}
        for _ in range(rng.choice((1, 2, 2, 3, 3, 4))):
            name, text = self.entry()
            found.setdefault(name, []).append(text)
        return Obj((k, v[0] if len(v) == 1 and self.chance(0.6) else v) for k, v in found.items())

    # -- statements

    def action_entries(self, *, is_deny: bool) -> Any:
        rng = self.rng
        kind = rng.random()
        if kind < (0.2 if is_deny else 0.72):
            service = self.actions[-1].split(":")[0]
            return rng.choice(("*", "*", "*:*", f"{service}:*", [f"{service}:*", "s3:*"]))
        if kind < 0.74:
            return self.base.wildcards(rng.choice(self.actions), 4)
        if kind < 0.77:
            return self.base.listed(self.base.action_pattern, empty=0.1)
        count = rng.choice((1, 1, 2, 3))
        names = [self.base.recase(a, 0.1) for a in rng.sample(self.actions, count)]
        return names[0] if count == 1 and self.chance(0.5) else names

    def resource_entries(self) -> Any:
        rng = self.rng
        kind = rng.random()
        if kind < 0.1:
            return self.base.listed(self.base.resource_pattern, empty=0.02)
        if kind < 0.3:
            return self.base.wildcards(rng.choice(self.arns), rng.choice((4, 12)))
        count = rng.choice((1, 1, 2, 3))
        names = rng.sample(self.arns, count)
        return names[0] if count == 1 and self.chance(0.5) else names

    def statement(self, layer: str) -> Obj:
        rng = self.rng
        is_deny = self.chance(self.denies[layer])
        pairs: list[tuple[str, Any]] = [("Effect", "Deny" if is_deny else "Allow")]
        is_resource = layer == "resource"
        if layer == "rcps":
            pairs.append(("Principal", "*" if self.chance(0.97) else Obj([("AWS", "*")])))
        elif is_resource or layer == "vpce":
            allowed = not (is_resource and self.theme == "trust")
            if allowed and self.chance(0.3 if is_deny else 0.08):
                pairs.append(("NotPrincipal", self.principal()))
            else:
                everyone = layer == "vpce" and self.chance(0.6)
                pairs.append(("Principal", "*" if everyone else self.principal()))
        if layer != "rcps" and self.chance(0.08):
            pairs.append(("NotAction", self.action_entries(is_deny=True)))
        else:
            pairs.append(("Action", self.action_entries(is_deny=is_deny)))
        broad = 0.35 if is_deny else 0.72
        if is_resource and self.theme == "trust":
            pass  # GRAM-40: a trust policy has none
        elif self.chance(0.07):
            pairs.append(("NotResource", self.resource_entries()))
        elif self.chance(broad):
            if not (layer in ("resource", "vpce") and self.chance(0.3)):
                pairs.append(("Resource", "*"))
        else:
            pairs.append(("Resource", self.resource_entries()))
        if self.chance(0.5 if is_deny else 0.42):
            pairs.append(("Condition", self.base.condition()))
        if self.chance(self.fault_rate):
            self.spoil(pairs, layer)
        if self.chance(0.1):
            rng.shuffle(pairs)
        return Obj(pairs)

    def spoil(self, pairs: list[tuple[str, Any]], layer: str) -> None:
        """One fault: of the principal (GRAM-22, 23, 30, 40, 42), or one that any type may have."""
        rng = self.rng
        names = [name for name, _ in pairs]
        at = next((i for i, n in enumerate(names) if n.endswith("Principal")), None)
        if self.chance(0.5):
            self.base.spoil(pairs)
            return
        if at is None:
            pairs.append((rng.choice(("Principal", "NotPrincipal", "principal")), "*"))
            return
        kind = rng.randrange(6)
        if kind == 0:
            pairs.pop(at)
        elif kind == 1:
            pairs.append(("Principal" if names[at] == "NotPrincipal" else "NotPrincipal",
                          self.principal()))
        elif kind == 2:
            wrong = rng.choice(("x", HOME, Raw("1"), ["*"], Obj([("AWS", Raw("1"))]),
                                Obj([("User", "x")]), Obj([("aws", "*")]), Raw("null")))
            pairs[at] = (names[at], wrong)
        elif kind == 3:
            pairs[at] = ("NotPrincipal", rng.choice((Obj(), Obj([("AWS", [])]), "*")))
        elif kind == 4:
            pairs[at] = ("NotPrincipal", self.principal())
        elif layer == "rcps":
            pairs[:] = [("NotAction" if n == "Action" else n, v) for n, v in pairs]
        else:
            pairs.append(("Resource", "*"))

    def document(self, layer: str) -> Obj:
        rng = self.rng
        pairs: list[tuple[str, Any]] = []
        needs_2012 = layer in LEVELS
        version = rng.choice(("2012-10-17",) * 8 + (None, "2008-10-17" if not needs_2012 else None))
        if version:
            pairs.append(("Version", version))
        counts = {"scps": (1, 2), "rcps": (1, 2), "resource": (1, 2, 3)}
        count = rng.choice(counts.get(layer, (1, 1, 2, 3)))
        statements = [self.statement(layer) for _ in range(count)]
        pairs.append(("Statement", statements[0] if count == 1 and self.chance(0.5)
                      else statements))
        if self.chance(0.3 * self.fault_rate):
            pairs = rng.choice((
                [("Version", "2012-10-18"), pairs[-1]], [("Version", "2008-10-17"), pairs[-1]],
                [("Statement", "x")], [("Version", "2012-10-17")], [*pairs, ("Comment", "x")],
                [("Version", "2012-10-17"), ("Statement", [Raw("1"), *statements])],
                [("Version", "2012-10-17"), ("Statement", [])], [*pairs, ("Id", "x")]))
        elif self.chance(0.03):
            pairs = [("Version", "2012-10-17"), ("Statement", [])]
        return Obj(pairs)

    # -- the world

    def policies(self) -> dict[str, Any]:
        rng = self.rng

        def some(layer: str, counts: tuple[int, ...]) -> list[Obj]:
            return [self.document(layer) for _ in range(rng.choice(counts))]

        def levels(layer: str, p: float) -> list[list[Obj]]:
            if not self.chance(p):
                return []
            out = [some(layer, (1, 1, 1, 2)) for _ in range(rng.choice((1, 1, 2, 3)))]
            if self.chance(0.04):
                out[rng.randrange(len(out))] = []
            return out

        kinds = {who["principal"].split(":")[-1].split("/")[0] for who in self.cast}
        narrow = kinds & {"federated-user"} or self.chance(0.25)
        return {
            "identity": some("identity", (0, 1, 1, 1, 2, 2)),
            "boundary": some("boundary", (1, 1, 2)) if self.has_boundary else [],
            "session": some("session", (1, 1, 2)) if narrow and self.chance(0.75) else [],
            "scps": levels("scps", 0.28),
            "rcps": levels("rcps", 0.4),
            "vpce": some("vpce", (1, 1, 2)) if self.chance(0.2) else [],
            "resource": self.document("resource") if self.chance(0.87) else None,
        }

    def options(self) -> dict[str, str]:
        out = {"invalid_statement": "unknown" if self.chance(0.65) else "never"}
        for name, (usual, other) in CHOICES.items():
            if self.chance(0.3):
                out[name] = other if self.chance(0.7) else usual
        return out

    def special_keys(self) -> dict[str, list[Any]]:
        """The keys that principals are matched by, with the values this world knows."""
        roles = [who["names"][0] for who in self.cast if who["account"]] or ["x"]
        names = [name for who in self.cast for name in who["names"]]
        ids = [who["id"] for who in self.cast if who.get("id")]
        return {
            "aws:PrincipalArn": [*roles, self.rng.choice(names), f"arn:aws:iam::{HOME}:user/ana"],
            "aws:userid": [*ids, "AROAROLE:s0", "AIDAUSER", "x"],
            "aws:AssumedRoot": ["true", "false"],
        }

    def world(self, count: int) -> LayerWorld:
        base, rng = self.base, self.rng
        policies = self.policies()
        found = list(_statements([tree for _, tree in documents(policies)]))
        hints: dict[str, list[str]] = {}
        for _, _, conditions in found:
            for key, values in conditions:
                hints.setdefault(key, []).extend(values)
        base.lower_spelling = {k.name.lower(): base.spelling[k.name] for k in base.keys}
        values: dict[str, list[Any]] = {}
        for key in base.keys:
            known = hints.get(key.name.lower(), [])
            values[base.spelling[key.name]] = [base.request_value(key, known) for _ in range(4)]
        patterns = [text for _, resources, _ in found for text in resources]
        filled = [base.fill(rng.choice(patterns), {}) for _ in range(3)] if patterns else []
        self.filled = [f for f in filled
                       if f.startswith("arn:") and f.count(":") >= 5 and ":role/" not in f]
        asked = [text for actions, _, _ in found for text in actions]
        self.matching = [base.legal_action(base.fill(rng.choice(asked), {})) for _ in range(2)] \
            if asked else []
        special = self.special_keys()
        named = {name.lower() for name in values}
        special = {name: pool for name, pool in special.items() if name.lower() not in named}
        self.is_forgetful = self.chance(0.85)
        requests = [self.request(found, values, special) for _ in range(count)]
        pools = {key: [*pool, None] for key, pool in (values | special).items()}
        resources = [r.resource for r in requests if r.resource is not None]
        if self.theme != "trust":
            resources += ["*", *self.arns]
        return LayerWorld(base.seed, policies, self.options(), requests, self.theme == "trust",
                          tuple(pools), pools, sorted(set(resources)))

    def request(self, statements: list[Any], values: dict[str, list[Any]],
                special: dict[str, list[Any]]) -> LayerRequest:
        base, rng = self.base, self.rng
        who = rng.choice(self.cast)
        _, _, conditions = rng.choice(statements)
        context: dict[str, Value] = {}
        unknown: set[str] = set()
        wanted: dict[str, list[str]] = {}
        for key, texts in conditions:
            wanted.setdefault(key, []).extend(texts)
        for key in base.keys:
            spelled = base.spelling[key.name]
            r = rng.random()
            if self.is_forgetful and r > 0.45:
                unknown.add(spelled)
            elif key.name.lower() in wanted and r < 0.3:
                context[spelled] = base.request_value(key, wanted[key.name.lower()])
            elif r < 0.4:
                context[spelled] = rng.choice(values[spelled])
        for name, pool in special.items():
            r = rng.random()
            telling = who.get("assumed root") if name == "aws:AssumedRoot" else None
            if telling is not None and r < 0.7:
                context[name] = telling
            elif name == "aws:userid" and who.get("id") and r < 0.3:
                context[name] = who["id"]
            elif name != "aws:AssumedRoot" and r < 0.38:
                context[name] = rng.choice(pool)
            elif self.is_forgetful and r > 0.83:
                unknown.add(name)
        action = rng.choice(self.matching if self.matching and self.chance(0.1) else self.actions)
        resource: str | None = rng.choice(self.arns)
        if self.theme != "trust" and self.chance(0.1):
            resource = "*"
        elif self.filled and self.theme != "trust" and self.chance(0.2):
            resource = rng.choice(self.filled)
        if self.is_forgetful and self.chance(0.16):
            assumes = action.lower() in _TRUST_ACTIONS
            if assumes == (self.theme == "trust"):  # else the policy would be of another type
                resource = None
        if self.chance(0.003):
            resource = rng.choice(("", "arn", "s3:::b", "arn:aws:s3::", " *"))
        if self.chance(0.003):
            action = rng.choice(("", "s3", "s3:", ":Get", "s3:a:b", "s3:Get "))
        owner = rng.random()
        return LayerRequest(
            principal=who["principal"], action=base.recase(action, 0.05), resource=resource,
            context=context, unknown=frozenset(unknown), issuer_arn=who.get("issuer_arn"),
            principal_account=who.get("principal_account"),
            principal_type=who.get("principal_type"),
            resource_account=None if owner < 0.45 else self.home if owner < 0.9 else FOREIGN,
            is_management_account=who.get("is_management_account", False))


def make_layer_world(seed: int, requests: int = 60) -> LayerWorld:
    """The world of a seed. The same seed and count give the same world."""
    return LayerMaker(seed).world(requests)


def completions(world: LayerWorld, request: LayerRequest, most: int) -> list[LayerRequest] | None:
    """Every request without unknowns that the given one may stand for in this world; None if
    there are more than `most`."""
    keys = sorted(request.unknown)
    pools: list[list[Any]] = [list(world.values[key]) for key in keys]
    if request.resource is None:
        pools.append(list(world.resources))
    size = 1
    for pool in pools:
        size *= len(pool)
    if size > most:
        return None
    out = []
    for chosen in product(*pools):
        context = dict(request.context)
        context |= {k: v for k, v in zip(keys, chosen, strict=False) if v is not None}
        resource = chosen[-1] if request.resource is None else request.resource
        out.append(replace(request, resource=resource, context=context, unknown=frozenset()))
    return out
