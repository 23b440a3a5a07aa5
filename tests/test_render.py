"""The text forms of the stages: stable, complete, and what people debug with."""

from __future__ import annotations

import iamtables as it
from iamtables.compiler.lower import lower_documents
from iamtables.compiler.passes import optimize
from iamtables.compiler.render import emit_ir, emit_tables, emit_tree

POLICY = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Own", "Effect": "Allow", "Action": ["s3:Get*", "s3:GetObject"],
     "Resource": "arn:aws:s3:::home/${aws:username, 'guest'}/*"},
    {"Effect": "Deny", "NotAction": "s3:*", "Resource": ["arn:*:s?:::b", "arn:aws:s3"],
     "Condition": {"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a*", "b?"]}}}
  ]
}"""


def test_the_tree_shows_every_element_with_its_place() -> None:
    assert emit_tree([it.parse_policy(POLICY, name="p.json")]) == """\
policy p.json identity 2012-10-17
  statement 0 'Own' Allow @4:5
    action @4:49
      's3:Get*' @4:50
      's3:GetObject' @4:61
    resource @5:18
      "arn:aws:s3:::home/${aws:username, 'guest'}/*" @5:18
  statement 1 Deny @6:5
    not-action @6:37
      's3:*' @6:37
    resource @6:57
      'arn:*:s?:::b' @6:58
      'arn:aws:s3' @6:74
    condition ForAllValues:StringLikeIfExists 'aws:TagKeys' @7:56
      'a*' @7:72
      'b?' @7:78"""


def test_the_ir_shows_reach_of_wildcards_padding_and_subsumption() -> None:
    program = optimize(lower_documents([it.parse_policy(POLICY, name="p.json")], it.Options()))
    lines = emit_ir(program).splitlines()
    assert [line for line in lines if not line.startswith("option ")] == [
        "key k0 aws:username single",
        "key k1 aws:TagKeys multi",
        "action a0 s3:get*",
        "action a1 s3:getobject",
        "action a2 s3:*",
        "resource r0 arn:aws:s3:::home/${aws:username, 'guest'}/*",
        "resource r1 arn:*:s[?]:::b",
        "resource r2 arn:aws:s3:*:*:*",
        "actions A0 any of a0",
        "actions A1 none of a2",
        "resources R0 any of r0",
        "resources R1 any of r1 r2",
        "predicate p0 ForAllValues:StringLikeIfExists aws:TagKeys (a*, b?)",
        "statement s0 allow identity A0 R0 @p.json:4:5",
        "statement s1 deny identity A1 R1 p0 @p.json:6:5",
    ]


def test_the_tables_show_tries_and_cells() -> None:
    lines = emit_tables(it.compile(it.parse_policy(POLICY, name="p.json"))).splitlines()
    assert "trie action" in lines
    assert "  '' " not in lines
    assert any(line.strip().endswith("prefix:s3:get*") for line in lines)
    start = lines.index("cell s3:getobject")
    assert lines[start + 1 :] == ["  allow s0 R0"]


def test_stages_print_the_same_text_every_time() -> None:
    first, second = (emit_tables(it.compile(it.parse_policy(POLICY, name="p"))) for _ in range(2))
    assert first == second


BUCKET_POLICY = """{"Version": "2012-10-17", "Statement": {
  "Effect": "Deny", "NotPrincipal": {"AWS": ["111122223333"], "Service": "ec2.amazonaws.com"},
  "Action": "s3:*", "Resource": "*"
}}"""


def test_layers_show_principals_sets_of_policies_and_where_they_stand() -> None:
    table = it.compile_layers(
        identity=[it.parse_policy(POLICY, name="p")],
        resource=it.parse_policy(BUCKET_POLICY, name="b", policy_type="resource"),
        scps=[[], [it.parse_policy(POLICY, name="p", policy_type="scp")]],
    )
    lines = emit_tables(table).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("principal P0"))
    shown = [line for line in lines[start:] if not line.startswith(("principal P1", "  "))]
    assert shown == [
        "principal P0 none of AWS:111122223333 SERVICE:ec2.amazonaws.com (or who has a boundary)",
        "class C0 s0 s1",
        "class C1 s2",
        "class C2 s3",
        "class C3",
        "class C4 s4 s5",
        "place identity C0",
        "place resource C1",
        "place trust C2",
        "place scp C3",
        "place scp C4",
    ]
