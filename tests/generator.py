"""Seeded worlds of policies and requests, biased towards trouble.

A `World` is a handful of policies, options, and many requests that belong to them. The bias: tiny
alphabets with shared prefixes, `*` beside `?`, colons inside names, code points outside ASCII,
every operator with every suffix and prefix, values on the edge of their type, and the three
states of a key (absent, unknown, known). Most requests are made *from* the policy (its patterns
are filled in, its values taken over), since random text never matches anything.

Policies are kept as trees (`Obj`, lists, text, `Raw`), so that a failing world can be cut down
branch by branch, and are emitted as JSON text, which may hold what a dictionary cannot: a key
twice, or a number written `1e1`. Everything depends on the seed alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

Value = str | int | float | bool | list[str]


class Raw(str):
    """JSON text to be emitted as it stands: numbers, `true`, `null`."""

    __slots__ = ()


class Obj(list):  # type: ignore[type-arg]
    """A JSON object as its (key, value) pairs, so that a key may occur twice."""

    __slots__ = ()


@dataclass(frozen=True)
class Request:
    """One question. `resource` None is unknown; `unknown` names the context keys that are."""

    action: str
    resource: str | None
    context: dict[str, Value]
    unknown: frozenset[str] = frozenset()


@dataclass
class World:
    """Policies, how to read them, and what to ask.

    `keys` holds the spelling of every context key the requests use; `values` says, for each of
    them, which values and absence (None) the world knows: the completions of an unknown one.
    """

    seed: int
    policies: list[Any]
    options: dict[str, str]
    requests: list[Request]
    keys: tuple[str, ...] = ()
    values: dict[str, list[Value | None]] = field(default_factory=dict)
    resources: list[str] = field(default_factory=list)

    def texts(self) -> list[str]:
        return [emit(policy) for policy in self.policies]


def emit(node: Any) -> str:
    """JSON text of a tree. Text outside ASCII is escaped or not, as its length has it."""
    if isinstance(node, Raw):
        return node
    if node is None or isinstance(node, bool):
        return json.dumps(node)
    if isinstance(node, str):
        is_plain = len(node) % 2 == 0 and not any("\ud800" <= c <= "\udfff" for c in node)
        return json.dumps(node, ensure_ascii=not is_plain)
    if isinstance(node, Obj):
        return "{" + ", ".join(f"{emit(k)}: {emit(v)}" for k, v in node) + "}"
    return "[" + ",\n".join(emit(v) for v in node) + "]"


# --- the material -----------------------------------------------------------------------------

_BASES = {
    "S": ("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase",
          "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"),
    "N": ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
          "NumericGreaterThan", "NumericGreaterThanEquals"),
    "D": ("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals",
          "DateGreaterThan", "DateGreaterThanEquals"),
    "B": ("Bool",),
    "X": ("BinaryEquals",),
    "I": ("IpAddress", "NotIpAddress"),
    "A": ("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
}

_NUMBERS = ("10", "10.0", "1e1", "010", "+10", "10.", "100e-1", "9", "11", "-10", "9.99",
            "10.000000000000000001", "9.999999999999999999", "0", "-0", ".5", "0.5", "5e-1",
            "9007199254740992", "9007199254740993", "9007199254740992.0", "0.1", "0.10",
            "0.1000000000000000055511151231257827", "1e400", "10e399", "1E+400", "1e-400",
            "-1e400", "1e1000000", "10e999999", "0e99999")
_BAD_NUMBERS = ("", "10abc", " 10", "10 ", "1e", "e1", ".", "+", "0x10", "1_0", "NaN", "inf",
                "10\n", "--1", "1,0", "true")
_DATES = ("2024-01", "2024-01-01", "2024-01-01T00:00Z", "2024-01-01T00:00:00Z",
          "2024-01-01T00:00:00.000Z", "2024-01-01T01:00:00+01:00", "2023-12-31T19:00-05:00",
          "2024-01-01t00:00:00z", "2024-01-01T00:00:00-00:00", "1704067200", "1704067201",
          "1704067199", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.500000Z",
          "2024-01-01T00:00:00.499999Z", "2023-12-31T23:59:59.999999Z", "2024-02-29",
          "2024-01-01T13:30:00+13:30", "2024", "02024", "1970-01-01T00:33:44Z", "0", "-1",
          "1970-01-01", "1969-12-31T23:59:59Z", "0001-01-02", "9999-12-31T23:59:59Z")
_BAD_DATES = ("2023-02-29", "2024-13", "2024-00-10", "2024-01-01T00:00:00", "2024-01-01T24:00Z",
              "2024-01-01T00:00:60Z", "0000-01-01", "10000-01-01", "2024-1-1",
              "2024-01-01 00:00:00Z", "2024-01-01T00Z", "2024-01-01T00:00:00+0100", "", "now",
              "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+24:00", "+1704067200",
              "1704067200.5", "20240101T000000Z", "2024-01-01T00:00:00Z\n", "--1")
_NETS = ("10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "10.0.0.77/24", "10.0.0.0/31", "128.0.0.0/1",
         "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:DB8::1", "2001:db8:0:0:0:0:0:1/128",
         "2001:db8::ff/120", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "::1", "fe80::/10")
_ADDRESSES = ("10.0.0.1", "10.0.0.0", "10.0.0.2", "10.255.255.255", "11.0.0.0", "10.0.0.78",
              "10.0.1.0", "0.0.0.0", "255.255.255.255", "127.255.255.255", "128.0.0.0",
              "2001:db8::1", "2001:0DB8:0:0::1", "2001:db8:0:0:0:0:0:1", "2001:db8::", "2001:db9::",
              "::ffff:10.0.0.1", "::ffff:a00:1", "::", "::1", "::10.0.0.1", "fe80::1")
_BAD_IPS = ("10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/33", "10.0.0.0/", "fe80::1%eth0",
            "::/129", "host.example.com", "", "10.0.0.0/255.0.0.0", "10.0.0.0/-1", "1::2::3",
            "10.0.0.1 ", "10.0.0.0/+8", "12345::", "1:2:3:4:5:6:7:8:9", "10.0.0.0/8/8", "::1::",
            "AWS Internal", "10.0.0.1.1", "167772161")
_BINARY = ("aGk=", "YWJj", "YQ==", "YWI=", "/+8=", "YWJjZA==", "AA==")
_BAD_BINARY = ("aGk", "aGl=", "YR==", "Y Q==", "YWJ=", "_-8=", "YQ=", "YQ===", "====", "aGk=\n",
               "é", "YWJj=")
_BOOLS = ("true", "false", "TRUE", "False")
_BAD_BOOLS = ("yes", "1", "", "true ", "0")


@dataclass(frozen=True)
class _Key:
    name: str
    kind: str
    """S N D B X I A, as in section 4 of the semantics (X binary)."""
    form: str
    """`free`: the value decides; `single` and `multi`: the catalogue does (COND-11)."""


_KEYS = (
    _Key("k:s", "S", "free"), _Key("k:t", "S", "free"), _Key("s3:prefix", "S", "free"),
    _Key("plain", "S", "free"), _Key("k:é", "S", "free"), _Key("k:a/B:c", "S", "free"),
    _Key("aws:username", "S", "single"), _Key("aws:PrincipalTag/Team", "S", "single"),
    _Key("aws:PrincipalTag/team2", "S", "single"), _Key("aws:RequestTag/x", "S", "single"),
    _Key("aws:ResourceTag/a:b", "S", "single"), _Key("aws:TagKeys", "S", "multi"),
    _Key("aws:CalledVia", "S", "multi"), _Key("s3:max-keys", "N", "free"),
    _Key("aws:MultiFactorAuthAge", "N", "single"), _Key("aws:CurrentTime", "D", "single"),
    _Key("k:date", "D", "free"), _Key("aws:SecureTransport", "B", "single"),
    _Key("k:bool", "B", "free"), _Key("aws:SourceIp", "I", "single"), _Key("k:ip", "I", "free"),
    _Key("aws:SourceArn", "A", "single"), _Key("k:arn", "A", "free"), _Key("k:bin", "X", "free"),
)
_STRING_KEYS = tuple(k for k in _KEYS if k.kind == "S")

_ALPHABETS = ("ab", "ab", "ab", "abc", "aA", "ab/", "a:", "ab:", "a/:", "aé", "a€b", "😀a",
              "e\u0301", "a.", "a$", "a*?", "a\nb", "aΣσς", "iİI", "kK\u212a", "ßẞs", "{}a$",
              "[a]", "a\\", "a\0", "aÉé", "😀\ufffd")
_SERVICES = ("s3", "ec2", "a", "s3x")
_VERSIONS = ("2012-10-17",) * 7 + ("2008-10-17",) * 2 + (None,)


class Maker:
    """One world in the making: the random source, the alphabet and the pools."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = Random(seed)
        self.seed = seed
        self.chars = rng.choice(_ALPHABETS)
        if rng.random() < 0.004:
            self.chars += "\ud800"
        self.keys = rng.sample(_KEYS, rng.randint(1, 4))
        if all(k.kind != "S" for k in self.keys):
            self.keys.append(rng.choice(_STRING_KEYS))
        self.spelling = {k.name: self.recase(k.name, 0.2) for k in self.keys}
        self.words = [self.word(0, 4) for _ in range(4)]
        self.names = [self.name() for _ in range(4)]
        self.arns = [self.arn() for _ in range(4)]
        self.has_unknowns = rng.random() < 0.7
        self.fault_rate = 0.0 if rng.random() < 0.6 else 0.15

    # -- small parts

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def word(self, low: int, high: int) -> str:
        return "".join(self.rng.choices(self.chars, k=self.rng.randint(low, high)))

    def recase(self, text: str, p: float) -> str:
        """The text with its ASCII letters in another case, now and then."""
        if self.rng.random() >= p:
            return text
        return "".join(c.swapcase() if c.isascii() and self.rng.random() < 0.5 else c for c in text)

    def name(self) -> str:
        """An action name: no colon, no white space."""
        text = "".join(c for c in self.word(1, 4) if c != ":" and not c.isspace())
        return self.rng.choice(("", "Get", "GetO", "Put")) + text or "Get"

    def action(self) -> str:
        service = self.rng.choice(_SERVICES[:2] if self.chance(0.8) else _SERVICES)
        return self.recase(f"{service}:{self.rng.choice(self.names)}", 0.15)

    def arn(self) -> str:
        rng = self.rng
        head = ":".join((
            rng.choice(("aws", "aws", "a", "aws-cn")), rng.choice(("s3", "s3", "a", "ec2", "")),
            rng.choice(("", "", "r", "us-1")), rng.choice(("", "", "1", "11"))))
        tail = rng.choice(("", "b/", "b", "a:", "t/a:")) + self.word(0, 4)
        return f"arn:{head}:{tail}"

    def wildcards(self, text: str, start: int = 0) -> str:
        """A pattern that resembles the text: stretches of it become `*`, characters `?`."""
        rng = self.rng
        out = list(text)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            if len(out) <= start:
                out.append("*")
                break
            at = rng.randrange(start, len(out))
            kind = rng.random()
            if kind < 0.45:
                out[at : at + rng.choice((0, 1, 1, 2, 5))] = ["*"]
            elif kind < 0.6:
                out[at:] = ["*"]
            elif kind < 0.8:
                out[at] = "?"
            elif kind < 0.9:
                out[at : at + 2] = rng.choice((["*", "?"], ["?", "*"], ["*", "*"], ["*", "?", "*"]))
            else:
                out[at:at] = [rng.choice(self.chars)]
        return "".join(out)

    def variable(self) -> str:
        """`${...}` in all its forms; most name a key of this world."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.12:
            return rng.choice(("${*}", "${?}", "${$}"))
        if kind < 0.2:
            return rng.choice(("${", "${}", "$", "${aws:nobody}", "${a, 'b'}", "${k:s", "$${*}",
                               "${k:s,'d'}", "${k:s, 'd}", "${k:s, d}", "${, 'd'}", "${ }"))
        key = self.recase(rng.choice(self.keys).name, 0.3)
        if kind < 0.75:
            return "${" + key + "}"
        if kind < 0.8:
            return "${ " + key + " }"
        default = rng.choice(("", "d", "*", "a:b", "it's", "?", "a", rng.choice(self.words), "{"))
        return "${" + key + ", '" + default.replace("}", "") + "'}"

    def with_variable(self, text: str, start: int = 0) -> str:
        at = self.rng.randint(start, len(text)) if len(text) > start else len(text)
        return text[:at] + self.variable() + text[at + self.rng.choice((0, 0, 1, 2, 9)):]

    # -- elements

    def action_pattern(self) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.12:
            return rng.choice(("*", "**", "*:*", "*:Get*", "s3:*", "S3:*", "s3:?*", "ec2:**"))
        if kind < 0.17:
            return rng.choice(("s*:Get", "s3", "s3*", ":Get", "s3:", "s3:Get ", " s3:*", "?", "",
                               "s3:${*}", "s?:*", "*:", "s3:a:*", "s3:*:*", "**:Get", "s3:\t*"))
        action = self.action()
        at = action.index(":") + 1
        return self.wildcards(action, at)

    def resource_pattern(self) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.1:
            return rng.choice(("*", "*", "**", "***"))
        if kind < 0.16:
            return rng.choice(("arn:*", "arn:", "arn", "", "s3:::b", "arn:aws:s3", "arn:aws:s3:*",
                               "arn:*:s3", "*:b", "?", "arn*", "${k:s}", "${*}", "a?n:aws:s3:::b",
                               "arn:aws", "ARN:aws:s3:::*", "arn:**", "arn:a*:s3:::*", "*?",
                               "arn:aws:s3:::", "arn:aws:s3:?", "arn:aws:s3:**", "arn:?*"))
        arn = rng.choice(self.arns)
        pattern = self.wildcards(arn, 4)
        if kind > 0.8:
            start = 4 if self.chance(0.3) else pattern.rfind(":") + 1
            pattern = self.with_variable(pattern, start)
        if 0.74 < kind <= 0.8:
            pattern = ":".join(pattern.split(":")[: rng.randint(1, 5)])
        return pattern

    def value(self, kind: str, *, is_policy: bool) -> str:
        """Text of a kind, on the policy's or the request's side, with its share of garbage."""
        rng = self.rng
        bad = rng.random() < 0.1
        if kind == "N":
            return rng.choice(_BAD_NUMBERS if bad else _NUMBERS)
        if kind == "D":
            return rng.choice(_BAD_DATES if bad else _DATES)
        if kind == "B":
            return rng.choice(_BAD_BOOLS if bad else _BOOLS)
        if kind == "X":
            return rng.choice(_BAD_BINARY if bad else _BINARY)
        if kind == "I":
            good = _NETS if is_policy else _ADDRESSES
            return rng.choice(_BAD_IPS if bad else good)
        if kind == "A":
            if bad:
                return rng.choice(("", "*", "arn", "arn:a:b:c:d", "ARN:aws:s3:::b", "x",
                                   "arn:aws:s3:*", "arn:aws:s3::*"))
            arn = rng.choice(self.arns)
            return self.wildcards(arn, 4) if is_policy and self.chance(0.7) else arn
        return rng.choice(self.words) if self.chance(0.8) else self.word(0, 5)

    def policy_value(self, base: str, kind: str) -> Any:
        rng = self.rng
        if base == "Null":
            return rng.choice(("true", "false", "true", "false", "TRUE", Raw("true"),
                               Raw("false"), "maybe", ""))
        text = self.value(kind, is_policy=True)
        if kind == "S" and base.endswith("Like") and self.chance(0.6):
            text = self.wildcards(text)
        if kind in "SAB" and self.chance(0.2):
            whole = kind != "S" or self.chance(0.4)
            text = self.variable() if whole else self.with_variable(text)
        elif self.chance(0.02):
            text = self.variable()
        if kind == "N" and self.chance(0.25):
            return Raw(rng.choice(("10", "10.0", "1e1", "1E+1", "-10", "0.5", "-0", "1e400",
                                   "9007199254740993", "100e-1")))
        if kind in "BS" and self.chance(0.04):
            return Raw(rng.choice(("true", "false", "10", "1.0", "1e1")))
        return text

    def listed(self, make: Callable[[], Any], *, empty: float = 0.0) -> Any:
        """One value without brackets, or a list of one to three."""
        if self.chance(empty):
            return []
        count = self.rng.choice((0, 0, 1, 2, 2, 3))
        return make() if count == 0 else [make() for _ in range(count)]

    def operator(self, key: _Key) -> tuple[str, str]:
        """An operator for a key: (its base, its full name)."""
        rng = self.rng
        if self.chance(0.1):
            base = "Null"
            prefix = rng.choice(("", "", "", "ForAllValues:", "ForAnyValue:"))
            return base, prefix + base
        kind = key.kind if self.chance(0.93) else rng.choice("SNDBXIA")
        base = rng.choice(_BASES[kind])
        prefixes = ("", "ForAllValues:", "ForAnyValue:")
        prefix = rng.choices(prefixes, (1, 3, 3) if key.form == "multi" else (6, 1, 1))[0]
        return base, prefix + base + ("IfExists" if self.chance(0.2) else "")

    def condition(self) -> Obj:
        rng = self.rng
        out: dict[str, Obj] = {}
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            key = rng.choice(self.keys)
            base, name = self.operator(key)
            if self.chance(0.03):
                name = self.recase(name, 1)
            kind = next((k for k, bases in _BASES.items() if base in bases), "")
            values = self.listed(lambda b=base, k=kind: self.policy_value(b, k), empty=0.02)
            entry = (self.recase(key.name, 0.2), values)
            entries = out.setdefault(name, Obj())
            if all(k != entry[0] for k, _ in entries):
                entries.append(entry)
        return Obj(out.items())

    def statement(self) -> Obj:
        rng = self.rng
        effect = "Allow" if self.chance(0.64) else "Deny"
        pairs: list[tuple[str, Any]] = [("Effect", effect)]
        if self.chance(0.12):
            pairs.append(("NotAction", self.listed(self.action_pattern)))
        else:
            broad = self.chance(0.45)
            pairs.append(("Action", rng.choice(("*", "s3:*", "*:*", ["s3:*", "ec2:*"])) if broad
                          else self.listed(self.action_pattern, empty=0.01)))
        if self.chance(0.12):
            pairs.append(("NotResource", self.listed(self.resource_pattern)))
        else:
            pairs.append(("Resource", "*" if self.chance(0.4) else
                          self.listed(self.resource_pattern, empty=0.01)))
        if self.chance(0.55):
            pairs.append(("Condition", self.condition() if self.chance(0.98) else Obj()))
        if self.chance(0.4):
            pairs.append(("Sid", f"S{rng.randrange(100)}"))
        if self.chance(self.fault_rate):
            self.spoil(pairs)
        if self.chance(0.3):
            rng.shuffle(pairs)
        return Obj(pairs)

    def spoil(self, pairs: list[tuple[str, Any]]) -> None:
        """Plant one fault of the grammar in a statement (GRAM-2, 6, 20 to 24, 40, COND-7)."""
        rng = self.rng
        names = [k for k, _ in pairs]
        kind = rng.randrange(14)
        if kind == 0:
            pairs.pop(names.index("Effect"))
        elif kind == 1:
            pairs[names.index("Effect")] = ("Effect", rng.choice(("allow", "DENY", "", [])))
        elif kind == 2:
            other = "NotAction" if "Action" in names else "Action"
            pairs.append((other, "s3:*"))
        elif kind == 3:
            other = "NotResource" if "Resource" in names else "Resource"
            pairs.append((other, "*"))
        elif kind == 4:
            at = rng.randrange(len(pairs))
            pairs[at] = (self.recase(pairs[at][0], 1), pairs[at][1])
        elif kind == 5:
            pairs.append((rng.choice(("condition", "EFFECT", "notaction", "principal")), Obj()))
        elif kind == 6:
            pairs.append((rng.choice(("Comment", "x", "")), "unknown element"))
        elif kind == 7:
            pairs.append(("Principal", "*"))
        elif kind in (8, 9):
            name = rng.choice(("StringMatches", "NullIfExists", "ForSomeValues:StringEquals", "",
                               "StringEqualsIfExistsIfExists", "IfExists", "Like", "String",
                               "ForAnyValue:ForAllValues:StringEquals", "StringEquals "))
            bad = (name, Obj([(rng.choice(self.keys).name, "a")]))
            at = names.index("Condition") if "Condition" in names else -1
            old = pairs.pop(at)[1] if at >= 0 else []
            pairs.append(("Condition", Obj([*old, bad])))
        elif kind == 10:
            at = rng.randrange(len(pairs))
            wrong = rng.choice((Raw("null"), Raw("1"), Obj(), [["a"]], Raw("true"), [Raw("1")]))
            pairs[at] = (pairs[at][0], wrong)
        elif kind == 11:
            pairs.append(rng.choice(pairs))
        elif kind == 12:
            pairs.append(("Action" if "Action" in names else "NotAction", "s3:*"))
        else:
            name = "NotAction" if "NotAction" in names else "NotResource"
            if name in names:
                pairs[names.index(name)] = (name, [])
            else:
                gone = rng.choice(("Resource", "Action", "Effect"))
                pairs[:] = [(k, v) for k, v in pairs if k != gone]

    def policy(self) -> Any:
        rng = self.rng
        pairs: list[tuple[str, Any]] = []
        version = rng.choice(_VERSIONS)
        if version:
            pairs.append(("Version", version))
        count = rng.choice((1, 1, 2, 2, 3, 4, 6))
        statements = [self.statement() for _ in range(count)]
        pairs.append(("Statement", statements[0] if count == 1 and self.chance(0.5)
                      else statements))
        if self.chance(0.8 * self.fault_rate):
            pairs = rng.choice((
                [("Version", "2012-10-18"), pairs[-1]], [("Version", Raw("2012")), pairs[-1]],
                [("Statement", "x")], [("Version", "2012-10-17")], [*pairs, ("statement", [])],
                [("Version", "2008-10-17"), *pairs], [*pairs, ("Comment", "x")],
                [("Statement", [Raw("1"), *statements])], [("Statement", [])],
                [*pairs, ("Id", "x")]))
        elif self.chance(0.02):
            pairs.append(("Id", "x"))
        if self.chance(0.1):
            rng.shuffle(pairs)
        return Obj(pairs)

    def options(self) -> dict[str, str]:
        choices = {
            "invalid_statement": ("unknown", "never"), "resource_glob": ("span", "segment"),
            "resource_early_vars": ("substitute", "literal"),
            "null_notresource": ("match", "nomatch"), "null_empty_string": ("null", "value"),
            "multivalued_plain": ("never", "any"),
        }
        out = {}
        for name, (usual, other) in choices.items():
            if self.chance(0.3):
                out[name] = other if self.chance(0.7) else usual
        return out

    # -- requests

    def fill(self, pattern: str, context: dict[str, Value], *, plain: bool = False) -> str:
        """Text that has a good chance to match a pattern; `plain` leaves `*` and `?` alone."""
        rng = self.rng
        out = []
        at = 0
        while at < len(pattern):
            c = pattern[at]
            if c == "$" and pattern.startswith("${", at):
                end = pattern.find("}", at)
                if end >= 0:
                    name, _, default = pattern[at + 2 : end].partition(", '")
                    found = context.get(self.lower_spelling.get(name.strip().lower(), ""))
                    if isinstance(found, str) and found:
                        out.append(found)
                    elif name in ("*", "?", "$"):
                        out.append(name)
                    elif default:
                        out.append(default[:-1])
                    at = end + 1
                    continue
            if c == "*" and not plain:
                out.append(rng.choice(("", rng.choice(self.chars), self.word(0, 3), "x",
                                       ":", "/a", "a:b:c" if self.chance(0.3) else "")))
            elif c == "?" and not plain:
                out.append(rng.choice(self.chars))
            else:
                out.append(c)
            at += 1
        return "".join(out)

    def request_value(self, key: _Key, hints: list[str]) -> Value:
        """A value for a key: taken from the policy's values (`hints`) or from the kind."""
        rng = self.rng

        def one() -> str:
            if hints and self.chance(0.65):
                text = self.fill(rng.choice(hints), {}, plain=self.chance(0.15))
                return self.recase(text, 0.1)
            return self.value(key.kind, is_policy=False)

        r = rng.random()
        if key.form == "multi":
            return one() if r < 0.1 else [one() for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
        if key.form == "single":
            return [one()] if r < 0.04 else [] if r < 0.06 else one()
        if r < 0.22:
            return [one() for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        if r < 0.27:
            scalar: Value = rng.choice((10, 0, -1, 10.0, 0.5, True, False, 1704067200))
            return scalar
        return one()

    def world(self, count: int) -> World:
        rng = self.rng
        policies = [self.policy() for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        statements = list(_statements(policies))
        hints: dict[str, list[str]] = {}
        for _, _, conditions in statements:
            for key, values in conditions:
                hints.setdefault(key, []).extend(values)
        lower = {k.name.lower(): self.spelling[k.name] for k in self.keys}
        self.lower_spelling = lower
        values: dict[str, list[Value | None]] = {}
        for key in self.keys:
            known = hints.get(key.name.lower(), [])
            values[self.spelling[key.name]] = [
                self.request_value(key, known) for _ in range(10)]
        requests = [self.request(statements, values) for _ in range(count)]
        for pool in values.values():
            pool.append(None)
        resources = sorted({r.resource for r in requests if is_resource(r.resource)} | {"*"})
        return World(self.seed, policies, self.options(), requests,
                     tuple(values), values, resources)

    def request(self, statements: list[Any], values: dict[str, list[Any]]) -> Request:
        rng = self.rng
        if rng.random() < 0.006:
            return self.malformed()
        actions, resources, conditions = rng.choice(statements)
        aimed = rng.random() < 0.7
        context: dict[str, Value] = {}
        unknown = set()
        wanted: dict[str, list[str]] = {}
        if aimed:
            for key, texts in conditions:
                wanted.setdefault(key, []).extend(texts)
        for key in self.keys:
            spelled = self.spelling[key.name]
            r = rng.random()
            if self.has_unknowns and r > 0.7:
                unknown.add(spelled)
            elif key.name.lower() in wanted and r < 0.5:
                context[spelled] = self.request_value(key, wanted[key.name.lower()])
            elif r < 0.57:
                context[spelled] = rng.choice(values[spelled])
        if aimed and actions and rng.random() < 0.85:
            action = self.fill(rng.choice(actions), {})
        else:
            action = self.action()
        if self.has_unknowns and rng.random() < 0.15:
            return Request(self.legal_action(action), None, context, frozenset(unknown))
        if aimed and resources and rng.random() < 0.85:
            resource = self.fill(rng.choice(resources), context)
        else:
            resource = rng.choice(self.arns) if rng.random() < 0.85 else "*"
        missing = 5 - resource.count(":")
        if resource != "*" and (missing > 0 or not resource.startswith("arn:")):
            resource = resource + ":" * missing if resource.startswith("arn:") and \
                self.chance(0.5) else rng.choice(("*", *self.arns))
        return Request(self.legal_action(action), resource, context, frozenset(unknown))

    def malformed(self) -> Request:
        """A request that may not be asked: its action (ACT-8) or its resource (RES-12)."""
        rng = self.rng
        action, resource = self.action(), rng.choice(self.arns)
        if self.chance(0.5):
            action = rng.choice(("", "s3", "s3:", ":Get", "s3:a:b", f"{action} ", f" {action}",
                                 action.replace(":", "::"), f"{action}\n", "*", "s3:\tGet"))
        else:
            resource = rng.choice(("", "arn", "arn:aws:s3::", "s3:::b", "**", "?", f" {resource}",
                                   resource[1:], resource.upper(), " *", "* "))
        return Request(action, resource, {})

    def legal_action(self, action: str) -> str:
        """The action, made one that may be asked (ACT-8)."""
        service, colon, name = action.partition(":")
        name = "".join(c for c in name if c != ":" and not c.isspace())
        service = "".join(c for c in service if not c.isspace())
        if not colon or not service or not name:
            return self.action()
        if service == "*":
            service = self.rng.choice(_SERVICES)
        return self.recase(f"{service}:{name}", 0.1)


def _texts(node: Any) -> list[str]:
    """All text below a node that may stand for a list of entries."""
    if isinstance(node, str):
        return [node]
    if isinstance(node, Obj):
        return []
    return [v for v in node if isinstance(v, str)]


def _statements(policies: list[Any]) -> Iterator[tuple[list[str], list[str], list[Any]]]:
    """(action entries, resource entries, [(lower-case key, value texts)]) of every statement."""
    found = False
    for policy in policies:
        for name, value in policy:
            if name != "Statement":
                continue
            for statement in [value] if isinstance(value, Obj) else value:
                if not isinstance(statement, Obj):
                    continue
                actions: list[str] = []
                resources: list[str] = []
                conditions: list[Any] = []
                for element, node in statement:
                    if element.endswith("Action"):
                        actions += _texts(node)
                    elif element.endswith("Resource"):
                        resources += _texts(node)
                    elif element == "Condition" and isinstance(node, Obj):
                        for _, entries in node:
                            if isinstance(entries, Obj):
                                conditions += [(k.lower(), _texts(v)) for k, v in entries]
                found = True
                yield actions, resources, conditions
    if not found:
        yield [], [], []


def is_resource(text: str | None) -> bool:
    """Whether a request may carry this resource (RES-12)."""
    return text == "*" or (text is not None and text[:4] == "arn:" and text.count(":") >= 5)


def make_world(seed: int, requests: int = 64) -> World:
    """The world of a seed. The same seed and count give the same world."""
    return Maker(seed).world(requests)


def completions(world: World, request: Request, rng: Random, count: int) -> Iterator[Request]:
    """Requests without unknowns that the given one may stand for, `count` of them at random."""
    for _ in range(count):
        context = dict(request.context)
        for key in sorted(request.unknown):
            value = rng.choice(world.values[key])
            if value is not None:
                context[key] = value
        resource = request.resource
        if resource is None:
            resource = rng.choice(world.resources)
        yield replace(request, resource=resource, context=context, unknown=frozenset())
