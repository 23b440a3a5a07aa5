"""What the parser makes of documents, statements and elements; faults and voids of lenient mode."""

from __future__ import annotations

import gc
import json
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.iam.aws_managed_policies import aws_managed_policies_data

from iamtables.errors import (
    IamtablesError,
    LimitError,
    PolicyError,
    PolicySemanticError,
    RequestError,
)
from iamtables.grammar import parse_policy, tree
from iamtables.grammar.findings import MAX_DIAGNOSTICS
from iamtables.grammar.structure import MAX_STATEMENTS
from iamtables.grammar.tree import Text
from iamtables.grammar.vocabulary import BASES, OPERATORS, POLICY_TYPES

ROOT = Path(__file__).parent.parent
ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
MANAGED = {name: entry["Document"] for name, entry in json.loads(aws_managed_policies_data).items()}
VECTORS = [
    json.loads(line) for line in (ROOT / "docs/spec/vectors.jsonl").read_text("utf-8").splitlines()
]


def policy(*statements, **elements):
    return {"Version": "2012-10-17", "Statement": list(statements), **elements}


def parse(document, **options):
    return parse_policy(json.dumps(document), **options)


def parse_statement(policy_type="identity", **elements):
    """The one statement of a policy; an element that is None is left out of ALLOW."""
    given = {name: value for name, value in {**ALLOW, **elements}.items() if value is not None}
    return parse(policy(given), policy_type=policy_type).statements[0]


def names(document, **options):
    try:
        found = parse(document, **options).diagnostics
    except PolicyError as error:
        found = error.diagnostics
    return [diagnostic.name for diagnostic in found]


def names_of(policy_type="identity", **elements):
    given = {name: value for name, value in {**ALLOW, **elements}.items() if value is not None}
    return names(policy(given), policy_type=policy_type)


def is_refused(document, **options):
    try:
        parse(document, mode="strict", **options)
    except PolicySemanticError:
        return True
    return False


def values(element):
    return [entry.value for entry in element.entries]


# What was written is what stands in the tree


def as_list(value):
    return value if isinstance(value, list) else [value]


def as_text(value):
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def structure_of(document):
    """A `PolicyDocument` as JSON with every list written out."""
    statements = []
    for node in document.statements:
        statement = {"Effect": node.effect}
        if node.sid is not None:
            statement["Sid"] = node.sid.value
        for name, element in (("Action", node.action), ("Resource", node.resource)):
            if element is not None:
                statement[f"{'Not' if element.negated else ''}{name}"] = values(element)
        condition = {}
        for entry in node.conditions:
            keys = condition.setdefault(entry.operator.value, {})
            keys[entry.key.value] = [value.value for value in entry.values]
        if node.condition_span is not None:
            statement["Condition"] = condition
        statements.append(statement)
    return {"Version": document.version, "Statement": statements}


def structure_of_json(document):
    statements = []
    for written in as_list(document["Statement"]):
        statement = {}
        for name, value in written.items():
            if name in ("Effect", "Sid"):
                statement[name] = value
            elif name == "Condition":
                statement[name] = {
                    operator: {k: [as_text(v) for v in as_list(vs)] for k, vs in keys.items()}
                    for operator, keys in value.items()
                }
            else:
                statement[name] = as_list(value)
        statements.append(statement)
    return {"Version": document.get("Version", "2008-10-17"), "Statement": statements}


def test_every_managed_policy_has_the_structure_that_json_loads_gives():
    for name, document in MANAGED.items():
        assert structure_of(parse(document, name=name)) == structure_of_json(document), name


def test_no_managed_policy_is_refused_or_warned_about():
    found = {
        (name, diagnostic.name)
        for name, document in MANAGED.items()
        for diagnostic in parse(document, mode="strict").diagnostics
        if diagnostic.severity != "note"
    }
    assert found == set()


def test_every_shipped_policy_is_accepted_by_strict_mode():
    paths = sorted((ROOT / "iamtables/data/policies").glob("*.json"))
    assert paths
    for path in paths:
        document = parse_policy(path.read_bytes(), mode="strict", name=path.name)
        assert structure_of(document) == structure_of_json(json.loads(path.read_bytes()))


NODES = (tree.StatementNode, tree.ActionElement, tree.ResourceElement, tree.ConditionEntry)


def texts_of(node):
    """Every `Text` below a node of the tree."""
    if isinstance(node, Text):
        yield node
    elif isinstance(node, tuple):
        for item in node:
            yield from texts_of(item)
    elif hasattr(node, "__dataclass_fields__") or isinstance(node, NODES):
        for name in getattr(node, "__dataclass_fields__", dir(node)):
            if not name.startswith("_"):
                yield from texts_of(getattr(node, name))


def test_the_span_of_every_text_is_its_token():
    document = policy(
        {
            **ALLOW,
            "Sid": "A1",
            "Principal": {"AWS": ["111122223333"], "Service": "ec2.amazonaws.com"},
            "Condition": {
                "NumericLessThan": {"s3:max-keys": [10, 1.5]},
                "Bool": {"a:\u00e9": [True, "false"]},
            },
        }
    )
    for layout in ({}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}):
        text = json.dumps(document, **layout)
        found = list(texts_of(parse_policy(text, policy_type="resource").statements))
        assert len(found) == 13
        for node in found:
            value = json.loads(text[slice(*node.span)])
            assert node.value == as_text(value)


def test_spans_of_statement_elements_and_conditions_cover_their_json():
    text = json.dumps(policy({**ALLOW, "Condition": {"Bool": {"a:b": ["true"]}}}), indent=1)
    document = parse_policy(text)
    (node,) = document.statements
    cut = {
        "document": document.span,
        "statement": node.span,
        "effect": node.effect_span,
        "action": node.action.span,
        "condition": node.condition_span,
    }
    assert {name: json.loads(text[slice(*span)]) for name, span in cut.items()} == {
        "document": json.loads(text),
        "statement": json.loads(text)["Statement"][0],
        "effect": "Allow",
        "action": "s3:Get*",
        "condition": {"Bool": {"a:b": ["true"]}},
    }
    start, end = node.conditions[0].span
    assert json.loads("{" + text[start:end] + "}") == {"a:b": ["true"]}


def test_source_and_date_are_kept():
    source = parse_policy('{"Statement": []}', name="p.json", date="2024-01-31").source
    assert (source.name, source.date) == ("p.json", "2024-01-31")


def test_a_statement_may_stand_without_brackets():
    assert len(parse({"Statement": ALLOW}).statements) == 1


def test_numbers_and_booleans_of_conditions_are_kept_as_written():
    text = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": '
    text += '{"NumericEquals": {"a:b": [1.0, 10, 1e3]}, "Bool": {"a:b": false}}}}'
    conditions = parse_policy(text).statements[0].conditions
    assert [[v.value for v in entry.values] for entry in conditions] == [
        ["1.0", "10", "1e3"],
        ["false"],
    ]


@pytest.mark.parametrize(
    ("version", "has_variables"), [("2012-10-17", True), ("2008-10-17", False), (None, False)]
)
def test_variables_depend_on_the_version(version, has_variables):
    document = {"Statement": ALLOW} | ({"Version": version} if version else {})
    assert parse(document).has_variables is has_variables


# Documents


def test_a_repeated_key_is_reported_with_both_places_and_the_last_one_counts():
    text = '{"Version": "2012-10-17",\n"Statement": [],\n"Statement": {"Effect": "Deny",\n'
    text += '"Action": "*", "Resource": "*"}}'
    document = parse_policy(text)
    (diagnostic,) = document.diagnostics
    assert diagnostic.name == "DUP_KEY"
    assert (diagnostic.location.line, diagnostic.location.column) == (3, 1)
    assert "line 2, column 1" in diagnostic.help
    assert [node.effect for node in document.statements] == ["Deny"]


def test_a_repeated_key_of_a_condition_is_reported_and_the_last_one_counts():
    text = json.dumps(policy({**ALLOW, "Condition": "?"})).replace(
        '"?"', '{"Bool": {"a:b": "true", "a:b": "false"}, "Null": {"a:b": "true"}}'
    )
    document = parse_policy(text)
    assert [d.name for d in document.diagnostics] == ["DUP_KEY"]
    assert document.statements[0].conditions[0].values[0].value == "false"
    assert not document.statements[0].faults


def test_every_repeated_key_is_an_error_of_strict_mode():
    with pytest.raises(PolicySemanticError) as caught:
        parse_policy('{"Id": "a", "Id": "a", "Statement": [], "Id": "b"}', mode="strict")
    assert [d.name for d in caught.value.diagnostics].count("DUP_KEY") == 2


@pytest.mark.parametrize("version", ["2012-10-18", "", 2012, None, []])
def test_a_bad_version_spoils_the_document(version):
    document = parse(policy(ALLOW, Version=version))
    assert document.is_faulty
    assert [d.name for d in document.diagnostics] == ["VERSION_VALUE"]
    assert values(document.statements[0].action) == ["s3:Get*"]


@pytest.mark.parametrize("policy_type", ["scp", "rcp"])
def test_a_control_policy_without_version_is_read_as_2012(policy_type):
    document = parse({"Statement": []}, policy_type=policy_type)
    assert (document.version, document.is_faulty) == ("2012-10-17", False)
    assert document.diagnostics[0].name == "VERSION_REQUIRED"


def test_a_control_policy_of_2008_is_a_document_fault():
    assert parse(policy(ALLOW, Version="2008-10-17"), policy_type="scp").is_faulty


@pytest.mark.parametrize(
    "document", [{}, {"Statement": "x"}, {"Statement": None}, {"Statement": 1}]
)
def test_a_document_whose_statement_cannot_be_read_is_faulty_and_has_no_statements(document):
    parsed = parse(document)
    assert (parsed.is_faulty, parsed.statements) == (True, ())


def test_an_empty_statement_list_grants_and_denies_nothing():
    document = parse({"Statement": []})
    assert (document.is_faulty, document.statements) == (False, ())
    assert is_refused({"Statement": []})


@pytest.mark.parametrize("name", ["version", "VERSION", "statement"])
def test_an_element_of_a_document_in_another_case_is_reported_and_ignored(name):
    document = parse({**policy(ALLOW), name: "2012-10-17"})
    assert (document.is_faulty, document.statements[0].faults) == (False, frozenset())
    assert "case-sensitive" in document.diagnostics[0].help


def test_an_unknown_element_of_a_document_is_ignored():
    document = parse(policy(ALLOW, Comment="x"))
    assert (document.is_faulty, document.statements[0].faults) == (False, frozenset())
    assert is_refused(policy(ALLOW, Comment="x"))


def test_a_statement_that_is_no_object_is_unknown_in_every_part():
    document = parse(policy(ALLOW, 5))
    assert document.statements[0].faults == frozenset()
    assert document.statements[1].faults == {"effect", "action", "resource", "condition"}
    assert document.statements[1].index == 1


def test_all_findings_of_a_document_are_collected_in_the_order_of_the_text():
    document = policy({"Effect": "allow", "Action": 5, "Resource": "x"}, {"Effect": "Deny"}, Id=1)
    found = parse(document).diagnostics
    assert {d.name for d in found} == {
        "EFFECT_VALUE",
        "ELEMENT_TYPE",
        "RES_NOT_ARN",
        "ELEMENT_MISSING",
        "ELEMENT_NOT_ALLOWED",
    }
    places = [(d.location.line, d.location.column) for d in found]
    assert places == sorted(places)


def test_strict_mode_raises_all_findings_errors_first():
    document = policy({**ALLOW, "Action": ["s3:a b", "s3"]})
    with pytest.raises(PolicySemanticError) as caught:
        parse(document, mode="strict")
    assert [d.severity for d in caught.value.diagnostics] == ["error", "warning"]
    assert caught.value.code == "IT201"


def test_strict_mode_lets_warnings_pass_and_keeps_them():
    document = parse(policy({**ALLOW, "Action": ["s3:a b"]}), mode="strict")
    assert [d.severity for d in document.diagnostics] == ["warning"]


@pytest.mark.parametrize("argument", [{"policy_type": "group"}, {"mode": "loose"}])
def test_an_argument_that_makes_no_sense_is_refused_with_the_choices(argument):
    with pytest.raises(RequestError, match="choose one of"):
        parse({"Statement": []}, **argument)


@pytest.mark.parametrize("text", [None, {}, 5])
def test_a_policy_that_is_no_text_is_refused(text):
    with pytest.raises(RequestError, match="as text"):
        parse_policy(text)


# Statements


@pytest.mark.parametrize("effect", ["allow", "ALLOW", "Allow ", "", 1, None, ["Allow"]])
def test_an_effect_that_cannot_be_read_is_a_fault(effect):
    node = parse(policy({**ALLOW, "Effect": effect})).statements[0]
    assert (node.effect, node.faults) == (None, {"effect"})
    assert values(node.action) == ["s3:Get*"]


def test_a_missing_effect_is_a_fault():
    assert parse_statement(Effect=None).faults == {"effect"}


@pytest.mark.parametrize("name", ["condition", "CONDITION", "sid", "notaction", "Notaction"])
def test_an_element_in_another_case_spoils_its_statement(name):
    assert parse_statement(**{name: "x"}).faults == {"statement"}


def test_an_unknown_element_of_a_statement_is_ignored():
    assert parse_statement(Comment="x").faults == frozenset()
    assert names_of(Comment="x") == ["UNKNOWN_ELEMENT"]


@pytest.mark.parametrize(
    ("name", "help"), [("Actions", "`Action`"), ("Conditon", "`Condition`"), ("Zzz", "remove")]
)
def test_an_unknown_element_is_told_what_it_may_have_meant(name, help):
    (diagnostic,) = parse(policy({**ALLOW, name: "x"})).diagnostics
    assert help in diagnostic.help


@pytest.mark.parametrize(
    ("fault", "pair"),
    [
        ("action", {"Action": "s3:*", "NotAction": "s3:*"}),
        ("resource", {"Resource": "*", "NotResource": "*"}),
        ("principal", {"Principal": "*", "NotPrincipal": {"AWS": "111122223333"}}),
    ],
)
def test_both_of_a_pair_are_a_fault(fault, pair):
    document = policy({"Principal": "*", **ALLOW, **pair})
    node = parse(document, policy_type="resource").statements[0]
    assert node.faults == {fault}
    assert getattr(node, fault) is None
    assert is_refused(document, policy_type="resource")


def test_the_entries_of_both_of_a_pair_are_looked_at():
    found = names(policy({**ALLOW, "Action": "a", "NotAction": "b"}))
    assert found.count("ACTION_FORM") == 2


@pytest.mark.parametrize("value", [5, None, True, {}, ["s3:*", 5], [["s3:*"]], ["s3:*", None]])
@pytest.mark.parametrize("name", ["Action", "Resource"])
def test_an_element_of_the_wrong_type_is_a_fault(name, value):
    document = policy({**ALLOW, name: value})
    node = parse(document).statements[0]
    assert node.faults == {name.lower()}
    assert getattr(node, name.lower()) is None
    assert "ELEMENT_TYPE" in names(document)


@pytest.mark.parametrize("name", ["NotAction", "NotResource"])
def test_an_empty_negated_list_is_a_fault(name):
    node = parse_statement(**{name[3:]: None, name: []})
    assert node.faults == {name[3:].lower()}


@pytest.mark.parametrize("name", ["Action", "Resource"])
def test_an_empty_list_matches_nothing_and_spoils_nothing(name):
    node = parse_statement(**{name: []})
    assert node.faults == frozenset()
    assert getattr(node, name.lower()).entries == ()


@pytest.mark.parametrize("sid", [5, None, []])
def test_a_sid_of_the_wrong_type_is_reported_and_ignored(sid):
    node = parse(policy({**ALLOW, "Sid": sid})).statements[0]
    assert (node.sid, node.faults) == (None, frozenset())


@pytest.mark.parametrize(
    ("policy_type", "is_checked"), [("identity", True), ("trust", True), ("resource", False)]
)
def test_sids_are_checked_where_iam_stores_the_policy(policy_type, is_checked):
    found = names(policy({"Sid": "a b"}, {"Sid": "x"}, {"Sid": "x"}), policy_type=policy_type)
    assert ("SID_FORM" in found, "SID_REPEATED" in found) == (is_checked, is_checked)


# The table of GRAM-40

COMPLETE = {
    "identity": ALLOW,
    "boundary": ALLOW,
    "session": ALLOW,
    "resource": {**ALLOW, "Principal": "*"},
    "trust": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
    "scp": ALLOW,
    "rcp": {**ALLOW, "Effect": "Deny", "Principal": "*"},
    "vpce": {**ALLOW, "Principal": "*"},
}
PRINCIPAL = {"AWS": "111122223333"}
TABLE = {
    # element: the cells for identity, boundary, session, resource, trust, scp, rcp, vpce
    "Principal": "---RR-RR",
    "NotPrincipal": "---O---O",
    "Action": "RRRRRRRR",
    "NotAction": "OOOOOO-O",
    "Resource": "RRRO-RRR",
    "NotResource": "OOOO-OOO",
    "Condition": "OOOOOOOO",
    "Sid": "OOOOOOOO",
}
CELLS = [
    (element, policy_type, cell)
    for element, row in TABLE.items()
    for policy_type, cell in zip(POLICY_TYPES, row, strict=True)
]
SAMPLES = {
    "Principal": "*",
    "NotPrincipal": PRINCIPAL,
    "Action": "sts:AssumeRole",
    "NotAction": "s3:*",
    "Resource": "*",
    "NotResource": "arn:aws:s3:::b",
    "Condition": {},
    "Sid": "x",
}


def with_element(policy_type, element):
    statement = dict(COMPLETE[policy_type])
    statement.pop(element.removeprefix("Not"), None)
    statement[element] = SAMPLES[element]
    if element == "NotPrincipal":
        statement["Effect"] = "Deny"
    return policy(statement)


@pytest.mark.parametrize("policy_type", POLICY_TYPES)
def test_a_complete_statement_has_no_findings(policy_type):
    assert names(policy(COMPLETE[policy_type]), policy_type=policy_type) == []


@pytest.mark.parametrize(("element", "policy_type", "cell"), CELLS)
def test_strict_mode_refuses_exactly_the_elements_that_are_not_allowed(element, policy_type, cell):
    document = with_element(policy_type, element)
    assert is_refused(document, policy_type=policy_type) == (cell == "-")


@pytest.mark.parametrize(("element", "policy_type", "cell"), CELLS)
def test_lenient_mode_marks_the_statement_with_an_element_that_is_not_allowed(
    element, policy_type, cell
):
    document = parse(with_element(policy_type, element), policy_type=policy_type)
    assert ("statement" in document.statements[0].faults) == (cell == "-")


@pytest.mark.parametrize(("element", "policy_type", "cell"), CELLS)
def test_strict_mode_refuses_exactly_the_lack_of_a_required_element(element, policy_type, cell):
    statement = {name: v for name, v in COMPLETE[policy_type].items() if name != element}
    assert is_refused(policy(statement), policy_type=policy_type) == (cell == "R")


@pytest.mark.parametrize(
    ("policy_type", "faults"),
    [
        ("identity", {"resource"}),
        ("scp", {"resource"}),
        ("rcp", {"resource"}),
        ("resource", set()),
        ("trust", set()),
        ("vpce", set()),
    ],
)
def test_a_missing_resource_is_a_fault_unless_the_policy_is_attached_to_one(policy_type, faults):
    statement = {name: v for name, v in COMPLETE[policy_type].items() if name != "Resource"}
    node = parse(policy(statement), policy_type=policy_type).statements[0]
    assert (node.resource, node.faults) == (None, faults)


@pytest.mark.parametrize("policy_type", ["resource", "trust", "rcp", "vpce"])
def test_a_missing_principal_is_a_fault(policy_type):
    statement = {name: v for name, v in COMPLETE[policy_type].items() if name != "Principal"}
    assert parse(policy(statement), policy_type=policy_type).statements[0].faults == {"principal"}


@pytest.mark.parametrize(
    ("policy_type", "is_allowed"),
    [(t, t in ("resource", "trust", "vpce")) for t in POLICY_TYPES],
)
def test_an_id_is_allowed_in_resource_policies_and_ignored_elsewhere(policy_type, is_allowed):
    document = policy(COMPLETE[policy_type], Id="x")
    assert is_refused(document, policy_type=policy_type) != is_allowed
    parsed = parse(document, policy_type=policy_type)
    assert (parsed.is_faulty, parsed.statements[0].faults) == (False, frozenset())


def test_an_allow_of_a_resource_control_policy_is_reported_and_spoils_nothing():
    document = policy({**COMPLETE["rcp"], "Effect": "Allow"})
    assert is_refused(document, policy_type="rcp")
    assert parse(document, policy_type="rcp").statements[0].faults == frozenset()


def test_the_full_access_policy_of_aws_is_no_error():
    document = policy({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})
    assert not is_refused(document, policy_type="rcp")


def test_a_resource_control_policy_with_named_principals_is_a_fault():
    document = policy({**COMPLETE["rcp"], "Principal": PRINCIPAL})
    assert parse(document, policy_type="rcp").statements[0].faults == {"statement"}


# Actions


@pytest.mark.parametrize(
    "action", ["*", "**", "s3:*", "S3:get*", "*:*", "*:Get*", "**:Get*", "s3:G?t*", "a-b:C"]
)
def test_an_action_in_one_of_the_forms_is_not_void(action):
    assert parse_statement(Action=action).action.void == frozenset()
    assert names_of(Action=action) == []


@pytest.mark.parametrize(
    "action", ["s*:Get*", "s?:Get", "*s:Get", "s3*", "s3", "", ":Get", "s3:", ":"]
)
def test_a_malformed_action_is_void_and_refused(action):
    assert parse_statement(Action=["s3:Get", action]).action.void == {1}
    assert names_of(Action=action) == ["ACTION_FORM"]
    assert is_refused(policy({**ALLOW, "Action": action}))


@pytest.mark.parametrize("action", ["s3:Get ", " s3:Get", "s3: Get", "s3:Get\u00a0", "* ", "\t"])
def test_an_action_with_white_space_is_void(action):
    assert parse_statement(NotAction=[action], Action=None).action.void == {0}
    assert names_of(Action=action) == ["ACTION_SPACE"]


# Resources


@pytest.mark.parametrize("resource", ["", "a", "*a", "arn", "ARN:aws:s3:::b", "${aws:x}", " *"])
def test_a_resource_that_is_no_arn_is_void_and_refused(resource):
    assert parse_statement(Resource=["*", resource]).resource.void == {1}
    assert "RES_NOT_ARN" in names_of(Resource=resource)
    assert is_refused(policy({**ALLOW, "Resource": resource}))


@pytest.mark.parametrize("resource", ["*", "**", "arn:aws:s3:::b/${aws:username}/*", "arn:::::"])
def test_a_full_arn_or_all_stars_is_unremarkable(resource):
    assert names_of(Resource=resource) == []


SHORT = {
    # resource: meaning in identity types, in resource types, in scp, in rcp
    "arn:aws:sqs": ("padded", "void", "invalid", "invalid"),
    "arn:aws:sqs?": ("padded", "void", "invalid", "invalid"),
    "arn:*:s3": ("padded", "padded", "invalid", "invalid"),
    "arn:aws:s3:*": ("padded", "padded", "padded", "invalid"),
    "arn:aws:s3:::": ("full", "full", "full", "full"),
    "arn:aws:s3::${aws:x}": ("padded", "void", "invalid", "invalid"),
    "arn:aws:s3::${*}": ("padded", "void", "invalid", "invalid"),
}
KINDS = {
    "identity": 0,
    "boundary": 0,
    "session": 0,
    "resource": 1,
    "vpce": 1,
    "scp": 2,
    "rcp": 3,
}


@pytest.mark.parametrize("policy_type", KINDS)
@pytest.mark.parametrize("resource", SHORT)
def test_a_short_arn_is_padded_void_or_invalid_by_policy_type(resource, policy_type):
    meaning = SHORT[resource][KINDS[policy_type]]
    document = policy({**COMPLETE[policy_type], "Resource": resource})
    node = parse(document, policy_type=policy_type).statements[0]
    assert node.faults == ({"resource"} if meaning == "invalid" else set())
    assert (node.resource is not None and node.resource.void == {0}) == (meaning == "void")
    assert ("RES_SHORT_ARN" in names(document, policy_type=policy_type)) == (meaning != "full")
    assert is_refused(document, policy_type=policy_type) == (meaning == "invalid")


@pytest.mark.parametrize(
    ("resource", "spans"),
    [
        ("arn:aws:s3:*:*:accesspoint/x", True),
        ("arn:aws:dynamodb:*:table/t", True),
        ("arn:aws:s3:*", False),
        ("arn:aws:logs:us-?ast-1:1:x", False),
        ("arn:aws:s3:::b*:x", False),
        ("arn:aws:s3:${*}:1:x", False),
        ("arn:aws:s3:a${aws:x}*:1:x", True),
    ],
)
def test_res_span_fires_where_the_two_glob_modes_can_differ(resource, spans):
    assert ("RES_SPAN" in names_of(Resource=resource)) == spans


def test_res_span_is_one_note_for_a_document():
    statement = {**ALLOW, "Resource": ["arn:aws:ec2:*:*:x", "arn:aws:ec2:*:1:x"]}
    (diagnostic,) = parse(policy(statement, statement)).diagnostics
    assert "3 more" in diagnostic.message


@pytest.mark.parametrize(
    ("resource", "fires"),
    [
        ("arn:aws:iam::1:u*", True),
        ("arn:aws:wafv2:us-east-1:1:*/webacl/x", True),
        ("arn:aws:iam::1:user/*", False),
        ("arn:aws:iam::1:*", False),
        ("arn:aws:s3:::b*", False),
        ("arn:aws:apigateway:us-east-1::/restapis/*", False),
    ],
)
def test_res_type_wildcard_fires_on_a_wildcard_in_the_type_word(resource, fires):
    assert ("RES_TYPE_WILDCARD" in names_of(Resource=resource)) == fires


# Principals


def principal_of(principal):
    return parse_statement("resource", Principal=principal)


def test_a_star_is_an_aws_principal():
    (entry,) = principal_of("*").principal.entries
    assert (entry.kind, entry.text.value, entry.is_void) == ("AWS", "*", False)


def test_kinds_and_values_of_a_principal_are_alternatives_in_order():
    entries = principal_of({"Service": "a.amazonaws.com", "AWS": ["111122223333", "*"]})
    assert [(e.kind, e.text.value) for e in entries.principal.entries] == [
        ("Service", "a.amazonaws.com"),
        ("AWS", "111122223333"),
        ("AWS", "*"),
    ]


@pytest.mark.parametrize(
    "principal", ["x", "", 5, [], None, {"aws": "*"}, {"AWS": 5}, {"AWS": [5]}]
)
def test_a_principal_that_cannot_be_read_is_a_fault(principal):
    document = policy({**ALLOW, "Principal": principal})
    node = parse(document, policy_type="resource").statements[0]
    assert (node.principal, node.faults) == (None, {"principal"})
    assert is_refused(document, policy_type="resource")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("AWS", "arn:aws:iam::111122223333:user/*"),
        ("AWS", "1111222233??"),
        ("AWS", "**"),
        ("AWS", "arn:aws:iam::111122223333:group/devs"),
        ("Service", "*"),
        ("Service", "*.amazonaws.com"),
        ("Federated", "*"),
    ],
)
def test_a_principal_that_can_be_nobody_is_void_and_refused(kind, value):
    node = principal_of({kind: ["x", value]})
    assert [entry.is_void for entry in node.principal.entries] == [False, True]
    assert node.faults == frozenset()
    assert is_refused(policy({**ALLOW, "Principal": {kind: value}}), policy_type="resource")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("AWS", "111122223333"),
        ("AWS", "arn:aws:iam::111122223333:root"),
        ("AWS", "arn:aws-cn:iam::111122223333:user/a/b"),
        ("AWS", "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"),
        ("AWS", "arn:aws:iam::111122223333:role/r"),
        ("AWS", "arn:aws:sts::111122223333:assumed-role/r/s"),
        ("AWS", "arn:aws:sts::111122223333:federated-user/f"),
        ("AWS", "AIDACKCEVSQ6C2EXAMPLE"),
        ("Service", "logs.eu-west-1.amazonaws.com"),
        ("Service", "ec2.amazonaws.com.cn"),
        ("Federated", "accounts.google.com"),
        ("Federated", "arn:aws:iam::111122223333:saml-provider/x"),
        ("Federated", "arn:aws:iam::111122223333:oidc-provider/h/id/1"),
        ("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"),
    ],
)
def test_a_principal_in_a_documented_form_has_no_findings(kind, value):
    assert names_of("resource", Principal={kind: value}) == []


def test_an_empty_principal_matches_nobody_and_spoils_nothing():
    node = principal_of({"AWS": []})
    assert (node.principal.entries, node.faults) == ((), frozenset())


def test_an_empty_notprincipal_is_a_fault():
    node = parse_statement("resource", NotPrincipal={}, Effect="Deny")
    assert (node.principal, node.faults) == (None, {"principal"})


USER = "arn:aws:iam::111122223333:user/ana"
SESSION = "arn:aws:sts::111122223333:assumed-role/r/s"
ACCOUNT = "arn:aws:iam::111122223333:root"
ROLE = "arn:aws:iam::111122223333:role/path/r"


@pytest.mark.parametrize(
    ("listed", "fires"),
    [
        ([USER], True),
        ([USER, ACCOUNT], False),
        ([USER, "111122223333"], False),
        ([USER, "444455556666"], True),
        ([SESSION, ACCOUNT], True),
        ([SESSION, ACCOUNT, ROLE], False),
        ([SESSION, ACCOUNT, ROLE.replace("111122223333", "444455556666")], True),
        ([ACCOUNT], False),
        (["*"], False),
    ],
)
def test_notprincipal_asks_for_the_whole_chain(listed, fires):
    document = policy(
        {"Effect": "Deny", "NotPrincipal": {"AWS": listed}, "Action": "*", "Resource": "*"}
    )
    assert ("NOTPRINCIPAL_CHAIN" in names(document, policy_type="resource")) == fires


def test_notprincipal_with_allow_is_a_diagnostic_only():
    document = policy({**ALLOW, "NotPrincipal": PRINCIPAL})
    assert names(document, policy_type="resource") == ["NOTPRINCIPAL_ALLOW"]
    assert not is_refused(document, policy_type="resource")
    assert parse(document, policy_type="resource").statements[0].faults == frozenset()


# Conditions


def test_every_operator_is_taken_apart():
    assert len(OPERATORS) == (len(BASES) - 1) * 6 + 3
    for name, operator in OPERATORS.items():
        prefix = f"{operator.set_operator}:" if operator.set_operator else ""
        assert name == f"{prefix}{operator.base}{'IfExists' if operator.if_exists else ''}"
        node = parse_statement(Condition={name: {"a:b": "x"}})
        (entry,) = node.conditions
        assert (entry.set_operator, entry.base, entry.if_exists) == operator
        assert node.faults == frozenset()


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_in_another_case_is_accepted_by_lenient_mode_only(name):
    condition = {name.swapcase(): {"a:b": "x"}}
    node = parse_statement(Condition=condition)
    assert (node.conditions[0].base, node.faults) == (OPERATORS[name].base, frozenset())
    assert is_refused(policy({**ALLOW, "Condition": condition}))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "StringMatches",
        "NullIfExists",
        "ForAnyValue:NullIfExists",
        "ForSomeValue:StringEquals",
        "StringEqualsIfExistsIfExists",
        "ForAllValues:",
        "StringEquals ",
        "IfExists",
    ],
)
def test_an_unknown_operator_is_a_fault_and_keeps_its_entries(name):
    condition = {name: {"a:b": "x"}, "Bool": {"c:d": "true"}}
    node = parse_statement(Condition=condition)
    assert node.faults == {"condition"}
    assert [entry.base for entry in node.conditions] == [None, "Bool"]
    assert is_refused(policy({**ALLOW, "Condition": condition}))


@pytest.mark.parametrize(
    "condition",
    [
        "x",
        [],
        None,
        5,
        {"Bool": "x"},
        {"Bool": []},
        {"Bool": {"a:b": None}},
        {"Bool": {"a:b": {}}},
        {"Bool": {"a:b": [["x"]]}},
        {"Bool": {"a:b": ["true", None]}},
    ],
)
def test_a_condition_of_the_wrong_shape_is_a_fault(condition):
    node = parse(policy({**ALLOW, "Condition": condition})).statements[0]
    assert (node.faults, node.conditions) == ({"condition"}, ())
    assert is_refused(policy({**ALLOW, "Condition": condition}))


def test_an_empty_condition_is_no_condition():
    node = parse_statement(Condition={})
    assert (node.conditions, node.faults) == ((), frozenset())
    assert names_of(Condition={}) == []


def test_keys_that_differ_in_case_are_two_conditions():
    assert len(parse_statement(Condition={"Bool": {"a:b": "true", "A:B": "true"}}).conditions) == 2


def findings_for(operator, value, key="a:b", version="2012-10-17"):
    document = policy({**ALLOW, "Condition": {operator: {key: value}}}, Version=version)
    return names(document)


@pytest.mark.parametrize(
    ("operator", "good", "bad"),
    [
        (
            "NumericEquals",
            ["10", "-1.5", "+.5", "1.", "1e9", 10],
            ["", "10abc", " 1", "0x1", "1e", "٣"],
        ),
        (
            "DateLessThan",
            [
                "2020-01",
                "2020-02-29",
                "2020-01-01T00:00Z",
                "2020-01-01t00:00:00.5+01:00",
                "0",
                "-86400",
                "1700000000",
            ],
            [
                "",
                "2020-1-1",
                "2021-02-29",
                "2020-13",
                "2020-01-00",
                "2020-01-01T00:00",
                "2020-01-01T00:00:60Z",
                "2020-01-01T24:00Z",
                "0000-01-01",
                "9" * 5000,
                "tomorrow",
                "2020-01-01T00:00+24:00",
            ],
        ),
        ("Bool", ["true", "FALSE", True], ["yes", "1", ""]),
        ("Null", ["true", "False", False], ["null", ""]),
        ("BinaryEquals", ["", "QUJD", "QQ=="], ["QQ", "QR==", "QU-_", "é"]),
        (
            "NotIpAddress",
            ["10.0.0.1", "10.0.0.1/8", "0.0.0.0/0", "2001:DB8::1", "::/0", "::ffff:1.2.3.4/128"],
            [
                "",
                "10.0.0.*",
                "10.0.0.0/33",
                "::/129",
                "10.0.0.0/255.0.0.0",
                "010.0.0.1",
                "fe80::1%eth0",
                "10.0.0.0/",
                "10.0.0.0/-1",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_is_not_of_the_operators_type_is_reported(operator, good, bad):
    assert [v for v in good if "COND_POLICY_VALUE" in findings_for(operator, v)] == []
    assert [v for v in bad if "COND_POLICY_VALUE" not in findings_for(operator, v)] == []


@pytest.mark.parametrize(
    ("operator", "value", "name", "fires"),
    [
        ("DateLessThan", "2030", "DATE_YEAR_OR_EPOCH", True),
        ("DateLessThan", "20300", "DATE_YEAR_OR_EPOCH", False),
        ("StringEquals", "a*", "STRINGEQUALS_WILDCARD", True),
        ("StringNotEqualsIgnoreCase", "a?", "STRINGEQUALS_WILDCARD", True),
        ("StringEquals", "a${*}", "STRINGEQUALS_WILDCARD", False),
        ("StringEquals", "${a:b, '*'}", "STRINGEQUALS_WILDCARD", False),
        ("StringLike", "a*", "STRINGEQUALS_WILDCARD", False),
        ("ArnLike", "*", "ARN_COND_SHORT", True),
        ("ArnEquals", "arn:aws:s3:*", "ARN_COND_SHORT", True),
        ("ArnEquals", "arn:aws:s3:::b", "ARN_COND_SHORT", False),
        ("ArnEquals", "${aws:ResourceTag/owner}", "ARN_COND_SHORT", False),
        ("Bool", "${aws:PrincipalTag/x}", "VAR_BOOL", True),
        ("Bool", "${aws:PrincipalTag/x}", "COND_POLICY_VALUE", False),
        ("NumericEquals", "${aws:PrincipalTag/x}", "COND_POLICY_VALUE", True),
        ("StringEquals", "${username}", "VAR_UNKNOWN", True),
        ("StringEquals", "${aws:username", "VAR_UNCLOSED", True),
        ("StringEquals", "${aws:TagKeys}", "VAR_MULTIVALUED", True),
        ("NumericEquals", "${username}", "VAR_UNKNOWN", False),
        ("StringEquals", [], "CONDITION_EMPTY", True),
    ],
)
def test_a_condition_value_is_reported(operator, value, name, fires):
    assert (name in findings_for(operator, value)) == fires


def test_variables_of_a_2008_policy_are_reported_as_text():
    assert findings_for("StringEquals", "${a:b}", version="2008-10-17") == ["VAR_INACTIVE"]
    assert findings_for("Bool", "${a:b}", version="2008-10-17") == [
        "VAR_INACTIVE",
        "COND_POLICY_VALUE",
    ]


@pytest.mark.parametrize(
    ("operator", "fires"),
    [
        ("StringEquals", True),
        ("StringNotLikeIfExists", True),
        ("Null", False),
        ("ForAnyValue:StringEquals", False),
        ("ForAllValues:StringLike", False),
    ],
)
def test_a_multivalued_key_asks_for_a_set_operator(operator, fires):
    found = findings_for(operator, "true", key="AWS:TagKeys")
    assert ("MULTIVALUED_PLAIN" in found) == fires


# The vectors of the specification

LAYERS = {"identity": "identity", "boundary": "boundary", "session": "session", "vpce": "vpce"}


def documents_of(vector):
    policies = vector["policies"]
    for layer, policy_type in LAYERS.items():
        for document in policies.get(layer) or []:
            yield policy_type, document
    if policies.get("resource") is not None:
        is_trust = vector["request"]["action"].lower().startswith("sts:assumerole")
        yield ("trust" if is_trust else "resource"), policies["resource"]
    for layer, policy_type in (("scps", "scp"), ("rcps", "rcp")):
        for level in policies.get(layer) or []:
            for document in level:
                yield policy_type, document


REFUSED_RULES = {"GRAM-6", "GRAM-21", "GRAM-23", "GRAM-32", "COND-7"}
REFUSED_VECTORS = {"gram-40-1", "act-3-2"}


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if v["rule"] in REFUSED_RULES or v["id"] in REFUSED_VECTORS],
    ids=lambda vector: vector["id"],
)
def test_strict_mode_refuses_the_vectors_that_show_an_invalid_policy(vector):
    assert any(is_refused(d, policy_type=t) for t, d in documents_of(vector))


def test_a_vector_with_notprincipal_and_allow_gives_a_diagnostic_only():
    (vector,) = [v for v in VECTORS if v["id"] == "prin-13-1"]
    ((policy_type, document),) = documents_of(vector)
    assert not is_refused(document, policy_type=policy_type)
    assert "NOTPRINCIPAL_ALLOW" in names(document, policy_type=policy_type)


def test_lenient_mode_parses_every_vector_of_the_specification():
    for vector in VECTORS:
        for policy_type, document in documents_of(vector):
            parse(document, policy_type=policy_type)


# Hostile documents

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
element_values = json_values | st.sampled_from(
    [
        "*",
        "Allow",
        "Deny",
        "arn:aws:s3:::${a:b}/*",
        ["s3:*", "*:*"],
        {"AWS": "*"},
        [],
        {"StringEquals": {"aws:TagKeys": ["${x}", 1]}},
        {"Bool": {"a": True}},
        "${",
        "2012-10-17",
    ]
)
element_names = st.sampled_from(
    [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "condition",
        "Zzz",
    ]
)
strange_statements = st.dictionaries(element_names, element_values, max_size=6)
strange_documents = st.dictionaries(
    st.sampled_from(["Version", "Id", "Statement", "statement", "x"]),
    element_values | st.lists(strange_statements, max_size=3) | strange_statements,
)


@settings(deadline=None)
@given(strange_documents, st.sampled_from(POLICY_TYPES), st.sampled_from(["strict", "lenient"]))
def test_a_strange_document_gives_a_tree_or_an_error_of_ours(document, policy_type, mode):
    try:
        parsed = parse(document, policy_type=policy_type, mode=mode)
    except IamtablesError as error:
        assert mode == "strict"
        assert str(error)
    else:
        assert all(diagnostic.render() for diagnostic in parsed.diagnostics)


@settings(deadline=None)
@given(strange_documents, st.sampled_from(POLICY_TYPES))
def test_strict_mode_refuses_exactly_the_documents_that_have_errors(document, policy_type):
    found = parse(document, policy_type=policy_type).diagnostics
    has_errors = any(diagnostic.severity == "error" for diagnostic in found)
    assert is_refused(document, policy_type=policy_type) == has_errors


@settings(deadline=None)
@given(strange_documents, st.sampled_from(POLICY_TYPES))
def test_every_fault_has_an_error_beside_it(document, policy_type):
    parsed = parse(document, policy_type=policy_type)
    is_spoiled = parsed.is_faulty or any(node.faults for node in parsed.statements)
    if is_spoiled:
        assert any(diagnostic.severity == "error" for diagnostic in parsed.diagnostics)


@settings(deadline=None)
@given(strange_documents, st.sampled_from(POLICY_TYPES))
def test_an_element_that_is_none_is_missing_or_faulty(document, policy_type):
    parsed = parse(document, policy_type=policy_type)
    for node in parsed.statements:
        assert node.effect is not None or "effect" in node.faults
        assert node.action is not None or "action" in node.faults
        for element in (node.action, node.resource):
            assert element is None or all(0 <= i < len(element.entries) for i in element.void)


def test_diagnostics_are_bounded_and_the_last_one_counts_the_rest():
    document = policy({**ALLOW, "Action": ["s3"] * (MAX_DIAGNOSTICS + 5)})
    found = parse(document).diagnostics
    assert len(found) == MAX_DIAGNOSTICS + 1
    assert found[-1].name == "TOO_MANY" and "5 more" in found[-1].message


def test_warnings_cannot_crowd_out_an_error():
    document = policy({**ALLOW, "Action": ["s3: x"] * (MAX_DIAGNOSTICS + 5) + ["s3"]})
    assert is_refused(document)


@pytest.mark.parametrize("excess", [0, 1])
def test_statements_are_bounded(excess):
    document = {"Statement": [{}] * (MAX_STATEMENTS + excess)}
    if not excess:
        assert len(parse(document).statements) == MAX_STATEMENTS
        return
    with pytest.raises(LimitError) as caught:
        parse(document)
    assert (caught.value.limit, caught.value.given) == ("MAX_STATEMENTS", MAX_STATEMENTS + 1)


@pytest.mark.parametrize(
    ("policy_type", "statement"),
    [
        ("identity", {**ALLOW, "Condition": {f"StringEqual{i}": {} for i in range(30_000)}}),
        ("identity", {**ALLOW, **{f"Actio{i}": 1 for i in range(30_000)}}),
        (
            "resource",
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "NotPrincipal": {
                    "AWS": [f"arn:aws:sts::111122223333:assumed-role/r{i}/s" for i in range(20_000)]
                },
            },
        ),
        ("identity", {**ALLOW, "Resource": ["${" * 300_000]}),
        ("identity", {**ALLOW, "Resource": ["arn:" + "*:" * 300_000]}),
        ("identity", {**ALLOW, "Action": [f"s{i}*:x" for i in range(100_000)]}),
    ],
    ids=["operators", "elements", "sessions", "dollars", "stars", "actions"],
)
def test_a_hostile_document_is_read_in_linear_time(policy_type, statement):
    text = json.dumps(policy(statement))
    start = time.process_time()
    parse_policy(text, policy_type=policy_type)
    # Quadratic time would be minutes, so the bound leaves room for slow machines.
    assert time.process_time() - start < 15


# --- nodes

def nodes_with_everything():
    text = json.dumps(policy({
        **ALLOW, "Sid": "A1", "Action": ["s3:Get*", "no colon"],
        "Condition": {"StringLikeIfExists": {"aws:x": ["a", "b"]}}}))
    (node,) = parse_policy(text).statements
    return [node, node.action, node.resource, *node.conditions]


def test_nodes_are_equal_when_all_of_them_is():
    for one, again in zip(nodes_with_everything(), nodes_with_everything(), strict=True):
        assert one == again and hash(one) == hash(again) and one is not again
        assert pickle.loads(pickle.dumps(one)) == one
        assert one != one.span and repr(one) == repr(again)
        kind, parts = one.__reduce__()
        for at, part in enumerate(parts):
            other = {bool: lambda p: not p, int: lambda p: p + 1, str: lambda p: p + "x",
                     frozenset: lambda p: p | {7}}.get(type(part))
            if other is None and isinstance(part, tuple) and part and isinstance(part[0], int):
                other = lambda p: (p[0], p[1] + 1)  # noqa: E731
            if other is not None:
                changed = kind(*parts[:at], other(part), *parts[at + 1:])
                assert changed != one and repr(changed) != repr(one)


def test_nodes_are_no_containers_to_the_collector_and_do_not_change():
    for node in nodes_with_everything():
        assert not gc.is_tracked(node)
        with pytest.raises(AttributeError):
            node.start = 3


def test_a_spoiled_statement_keeps_all_but_its_conditions():
    node = nodes_with_everything()[0]
    spoiled = node.spoiled("resource")
    assert spoiled.conditions == () and spoiled.faults == {"resource"}
    assert spoiled.__reduce__()[1][:8] == node.__reduce__()[1][:8]
    assert spoiled.condition_span == node.condition_span is not None
