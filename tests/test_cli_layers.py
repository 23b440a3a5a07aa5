"""`check` and `compile` over all layers: an organization's directory or table, one per layer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Finished, allow, deny, iamtables, policy
from snapshots import (
    ANA,
    APP,
    BOUNDARY,
    BUCKET,
    CUSTOMER,
    MANAGEMENT,
    ROOT,
    UNIT,
    A,
    B,
    Snapshot,
    attached,
    document,
    managed,
    role,
    user,
)

KEY = f"arn:aws:kms:eu-west-1:{A}:key/1"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """ana may read; app has all of S3 within a boundary of SQS; the unit deletes no bucket."""
    made = Snapshot(tmp_path / "org")
    made.tree(policy_types=[{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}])
    for target in (ROOT, A, B, MANAGEMENT):
        made.attach("scps", target, "p-FullAWSAccess")
    made.attach("scps", UNIT, "p-FullAWSAccess", "p-nodelete")
    made.describe("p-nodelete", document("s3:DeleteBucket", "Deny"))
    limited = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BOUNDARY}
    made.details(
        users=(user(AttachedManagedPolicies=attached(CUSTOMER)),),
        roles=(role(PermissionsBoundary=limited, RolePolicyList=[
            {"PolicyName": "inline", "PolicyDocument": document("s3:*")}]),),
        policies=(managed(CUSTOMER, "s3:Get*"), managed(BOUNDARY, "sqs:*")),
    )  # fmt: skip
    secret = document("s3:GetObject", "Deny", Principal="*", Resource=f"{BUCKET}/secret/*")
    made.policy(BUCKET, secret)
    return made


def asked(snapshot: Snapshot | Path, who: str, action: str, resource: str, *more: str) -> Finished:
    """`check` in an organization: its directory, or a table made of it."""
    given = ("--org", snapshot.path) if isinstance(snapshot, Snapshot) else (snapshot,)
    return iamtables("check", *given, "-p", who, "-a", action, "-r", resource, *more)


def test_an_allow_shows_the_statement_of_every_layer_that_had_to(snapshot: Snapshot) -> None:
    finished = asked(snapshot, ANA, "s3:GetObject", f"{BUCKET}/a")
    assert finished.code == 0
    lines = finished.out.splitlines()
    assert lines[0] == "ALLOW by the identity policies"
    assert "Allow statement 1 in the identity policies" in lines
    assert "Allow statement 1 in the service control policies" in lines
    assert lines.count("Allow statement 1 in the service control policies") == 1
    text = (snapshot.path / f"accounts/{A}/authorization-details.json").read_text()
    line = text[: text.index('"s3:Get*"')].count("\n") + 1
    assert f"authorization-details.json:{line}:" in finished.out
    assert lines[-1] == (
        "left out, since the snapshot holds none: session policies, endpoint policies"
    )


def test_an_explicit_denial_says_what_would_be_without_it(snapshot: Snapshot) -> None:
    finished = asked(snapshot, ANA, "s3:GetObject", f"{BUCKET}/secret/a")
    assert finished.code == 1
    assert finished.out.startswith("EXPLICIT_DENY by the resource's policy\n")
    assert "logs.json:6:23\n" in finished.out
    assert "to change it: no Deny may match; it would then be allowed by the identity policies" in (
        finished.out.splitlines()
    )
    scp = asked(snapshot, APP, "s3:DeleteBucket", BUCKET)
    assert scp.out.startswith("EXPLICIT_DENY by the service control policies\n")
    assert "denied still: no Allow in the permissions boundary" in scp.out


def test_an_implicit_denial_names_the_gate_that_is_shut(snapshot: Snapshot) -> None:
    finished = asked(snapshot, APP, "s3:PutObject", f"{BUCKET}/a")
    assert finished.code == 1
    lines = finished.out.splitlines()
    assert lines[0] == "IMPLICIT_DENY: no Allow in the permissions boundary"
    assert "in the permissions boundary no Allow names `s3:PutObject`" in lines
    assert (
        f"to change it: an Allow of `s3:PutObject` on `{BUCKET}/a` in the permissions boundary"
    ) in lines
    other = next(line for line in lines if "in the identity policies -->" in line)
    assert other.startswith("  Allow statement 1") and "authorization-details.json:" in other


def test_a_gap_is_named_and_leaves_the_answer_open(snapshot: Snapshot) -> None:
    finished = asked(snapshot, ANA, "kms:Decrypt", KEY)
    assert finished.code == 4
    assert finished.out.startswith(f"UNDETERMINED: it depends on the policy of `{KEY}`\n")
    assert f"not in the snapshot: the policy of `{KEY}`" in finished.out.splitlines()
    unlisted = asked(snapshot, f"arn:aws:iam::{B}:user/bob", "sqs:ListQueues", "*")
    assert unlisted.code == 4 and f"export of account `{B}`" in unlisted.out


def test_the_answer_as_json_has_layers_gaps_and_what_is_missing(snapshot: Snapshot) -> None:
    found = asked(snapshot, APP, "s3:PutObject", f"{BUCKET}/a", "--json").json()
    assert (found["decision"], found["deciders"]) == ("IMPLICIT_DENY", ["boundary"])
    assert found["missing_layers"] == ["session", "vpce"]
    assert {t["layer"] for t in found["traces"]} == {"identity", "scp"}
    gap = asked(snapshot, ANA, "kms:Decrypt", KEY, "--json").json()
    assert gap["layer"] == "none" and gap["depends_on"] == gap["not_in_snapshot"]
    assert gap["depends_on"] == [f"the policy of `{KEY}`"]


def test_layers_that_are_missing_may_count_as_unknown(snapshot: Snapshot) -> None:
    question = ("s3:GetObject", f"{BUCKET}/a", "-c", "aws:SourceVpce=vpce-1")
    assert asked(snapshot, ANA, *question).code == 0
    finished = asked(snapshot, ANA, *question, "--missing-layers", "unknown")
    assert finished.code == 4
    assert "the policy of endpoint `vpce-1`" in finished.out
    assert "counted as unknown, since the snapshot holds none: session" in finished.out


def test_a_compiled_organization_answers_as_its_directory(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    table = tmp_path / "org.iamt"
    done = iamtables("compile", "--org", snapshot.path, "-o", table)
    assert done.code == 0 and done.out == "" and f"wrote {table}: " in done.err
    for who, action, resource in (
        (ANA, "s3:GetObject", f"{BUCKET}/a"),
        (ANA, "s3:GetObject", f"{BUCKET}/secret/a"),
        (APP, "s3:PutObject", f"{BUCKET}/a"),
        (ANA, "kms:Decrypt", KEY),
    ):
        one, other = (asked(given, who, action, resource) for given in (snapshot, table))
        assert (one.code, one.out) == (other.code, other.out)
    assert iamtables("check", table, "-a", "s3:GetObject", "-r", "*").code == 2  # who asks?


def test_inspect_shows_who_carries_policies(snapshot: Snapshot, tmp_path: Path) -> None:
    table = tmp_path / "org.iamt"
    iamtables("compile", "--org", snapshot.path, "-o", table)
    shown = iamtables("inspect", table, "--json").json()
    assert shown["holds"] == "an organization"
    assert shown["frame"] == {
        "accounts": 3, "principals": 2, "principal_classes": 2, "resource_policies": 2,
        "endpoints": 0, "missing_layers": ["session", "vpce"], "missing_layers_are": "left out",
    }  # fmt: skip
    assert shown["counts"]["policy_sets"] >= 6
    text = iamtables("inspect", table).out
    assert "an organization" in text and "session, vpce" in text


def test_stages_of_an_organization_can_be_printed(snapshot: Snapshot) -> None:
    ir = iamtables("compile", "--org", snapshot.path, "--emit", "ir").out
    assert " any of SERVICE:ec2.amazonaws.com\n" in ir and " any of AWS:*\n" in ir
    assert any(" deny resource P" in line for line in ir.splitlines())
    tables = iamtables("compile", "--org", snapshot.path, "--emit", "tables").out.splitlines()
    (ana,) = [line for line in tables if line.startswith(f"principal {ANA} identity C")]
    (app,) = [line for line in tables if line.startswith(f"principal {APP} identity C")]
    assert " boundary C" in app and " boundary C" not in ana
    assert any(line.startswith(f"resource policy {BUCKET} C") for line in tables)
    assert f"account {MANAGEMENT} management" in "\n".join(tables)
    assert iamtables("compile", "--org", snapshot.path, "--emit", "tree").code == 2


# --- one document per layer ---------------------------------------------------------------------


def layers(directory: Path, **given: dict[str, Any]) -> list[str]:
    """Options and files of policies by their option."""
    return [
        word
        for option, statement in given.items()
        for word in (f"--{option.replace('_', '-')}",
                     policy(directory, statement, name=f"{option}.json"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "headline", "code"),
    [
        ({"identity": allow()}, "ALLOW by the identity policies", 0),
        ({"identity": allow(), "boundary": allow("sqs:*")},
         "IMPLICIT_DENY: no Allow in the permissions boundary", 1),
        ({"identity": allow(), "session": allow("sqs:*")},
         "IMPLICIT_DENY: no Allow in the session policies", 1),
        ({"identity": allow(), "scp": allow("sqs:*")},
         "IMPLICIT_DENY: no Allow in the service control policies", 1),
        ({"identity": allow(), "rcp": deny(Principal="*")},
         "EXPLICIT_DENY by the resource control policies", 1),
        ({"identity": allow(), "endpoint": allow("sqs:*", Principal="*")},
         "IMPLICIT_DENY: no Allow in the endpoint policy", 1),
        ({"identity": allow("sqs:*"), "resource_policy": allow(Principal={"AWS": APP})},
         "ALLOW by the resource's policy", 0),
        ({"resource_policy": deny(Principal="*"), "scp": deny()},
         "EXPLICIT_DENY by the service control policies and the resource's policy", 1),
    ],
)  # fmt: skip
def test_each_layer_has_an_option(
    given: dict[str, Any], headline: str, code: int, tmp_path: Path
) -> None:
    options = layers(tmp_path, **given)
    if set(given) == {"identity"}:
        options += layers(tmp_path, scp=allow())
    session = f"arn:aws:sts::{A}:assumed-role/app/s"
    finished = iamtables("check", *options, "-p", session, "--issuer", APP, "-a", "s3:GetObject",
                         "-r", "arn:aws:s3:::b/k")  # fmt: skip
    assert (finished.out.partition("\n")[0], finished.code) == (headline, code)


def test_levels_are_given_again_and_a_resource_has_one_policy(tmp_path: Path) -> None:
    one = policy(tmp_path, allow(), name="one.json")
    two = policy(tmp_path, allow("sqs:*"), name="two.json")
    question = ("-p", ANA, "-a", "s3:GetObject", "-r", "arn:aws:s3:::b/k")
    both = iamtables("check", one, "--scp", one, "--scp", two, *question)
    assert both.out.startswith("IMPLICIT_DENY: no Allow in the service control policies")
    assert iamtables("check", one, "--scp", one, "--scp", one, *question).code == 0
    twice = iamtables("check", "--resource-policy", one, "--resource-policy", two, *question)
    assert twice.code == 2 and "a resource has one policy" in twice.err


def test_what_does_not_go_together_is_a_matter_of_usage(snapshot: Snapshot, tmp_path: Path) -> None:
    one = policy(tmp_path, allow())
    question = ("-a", "s3:GetObject", "-r", "*")
    for given, said in (
        (("check", "--org", snapshot.path, one, "-p", ANA, *question), "--org comes alone"),
        (("check", "--scp", one, *question), "name the --principal"),
        (("check", "--org", snapshot.path, *question), "name the --principal"),
        (("check", *question), "give policies, or --org"),
        (("compile", "--org", snapshot.path, one, "-o", "x.iamt"), "give policies, or --org"),
    ):
        finished = iamtables(*given)
        assert finished.code == 2 and said in finished.err, given


# --- snapshots that cannot be used --------------------------------------------------------------


def loop(snapshot: Snapshot) -> None:
    snapshot.units(UNIT, UNIT)


def cut(snapshot: Snapshot) -> None:
    path = snapshot.path / f"accounts/{A}/authorization-details.json"
    path.write_text(path.read_text()[:300])


def two_places(snapshot: Snapshot) -> None:
    snapshot.accounts(UNIT, A, B)


def strange(snapshot: Snapshot) -> None:
    snapshot.put(f"accounts/{A}/resources/notes.json", document("s3:*"))


@pytest.mark.parametrize(
    ("damage", "named"),
    [(loop, UNIT), (cut, "authorization-details.json"), (two_places, B), (strange, "notes")],
)
def test_a_bad_snapshot_ends_with_one_error(
    snapshot: Snapshot, damage: Callable[[Snapshot], None], named: str, tmp_path: Path
) -> None:
    damage(snapshot)
    for finished in (
        asked(snapshot, ANA, "s3:GetObject", f"{BUCKET}/a"),
        iamtables("compile", "--org", snapshot.path, "-o", tmp_path / "x.iamt"),
    ):
        assert finished.code == 3 and finished.out == ""
        assert finished.err.count("error[IT") == 1 and "Traceback" not in finished.err
        assert named in finished.err and "\nhelp: " in finished.err
    assert not (tmp_path / "x.iamt").exists()


def test_a_directory_that_is_not_there_ends_with_one_error(tmp_path: Path) -> None:
    finished = iamtables("check", "--org", tmp_path / "none", "-p", ANA, "-a", "s3:GetObject",
                         "-r", "*")  # fmt: skip
    assert finished.code == 3 and finished.err.count("error[IT") == 1


def test_text_of_an_organization_cannot_write_to_the_terminal(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    table = tmp_path / "o.iamt"
    evil = "\u001b[2Jx"
    snapshot.details(users=(user(UserPolicyList=[
        {"PolicyName": "p", "PolicyDocument": json.loads(json.dumps(document("s3:Get*", Sid=evil)))}
    ]),))  # fmt: skip
    iamtables("compile", "--org", snapshot.path, "-o", table)
    assert "\u001b" not in asked(table, ANA, "s3:GetObject", f"{BUCKET}/a").out


def test_findings_in_the_documents_of_a_snapshot_are_told(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    """Once each, with file and line, whatever the verb; a document in many places counts once."""
    bad = document("s3:GetObject", Resource=f"{BUCKET}/*", Efect="Deny")
    snapshot.policy(f"{BUCKET}2", bad | {"Statement": [bad["Statement"][0] | {"Principal": "*"}]})
    table = tmp_path / "org.iamt"
    done = iamtables("compile", "--org", snapshot.path, "-o", table)
    assert done.code == 0 and done.err.count("`Efect`") == 1, done.err
    assert "resources/" in done.err and ".json:" in done.err
    told = asked(snapshot, ANA, "s3:GetObject", f"{BUCKET}/a")
    assert told.err.count("`Efect`") == 1
    assert iamtables("check", "--org", snapshot.path, "--strict", "-p", ANA, "-a", "s3:GetObject",
                     "-r", f"{BUCKET}/a").code == 3  # fmt: skip


def test_very_many_findings_are_counted(snapshot: Snapshot) -> None:
    bad = document("s3:GetObject", Resource="*", Principal="*")
    for k in range(60):
        snapshot.policy(f"arn:aws:s3:::b{k}", bad | {
            "Statement": [bad["Statement"][0] | {f"Odd{k}": "x"}]})
    told = asked(snapshot, ANA, "s3:GetObject", f"{BUCKET}/a")
    assert told.err.count("`Odd") == 50
    assert "10 more findings" in told.err


def test_two_organizations_are_compared_for_a_principal(snapshot: Snapshot) -> None:
    new = snapshot.path.parent / "new"
    shutil.copytree(snapshot.path, new)
    Snapshot(new).describe("p-nodelete", document(["s3:DeleteBucket", "s3:Get*"], "Deny"))
    given = ("diff", snapshot.path, new, "--principal", ANA)
    same = iamtables("diff", snapshot.path, snapshot.path, "--principal", ANA,
                     "--expect", "equivalent")
    assert same.code == 0, same
    narrowed = iamtables(*given, "--expect", "no-lost-access", "--json")
    assert narrowed.code == 1, narrowed
    found = json.loads(narrowed.out)
    assert (found["gained"]["verdict"], found["lost"]["verdict"]) == ("no", "yes")
    assert found["principal"] == ANA and found["scope"]
    assert {tuple(d["deciders"]) for d in found["lost"]["differences"]} == {("scp",)}
    told = iamtables(*given, "--expect", "no-new-access")
    assert told.code == 0 and f"requests of {ANA}:" in told.out
    assert iamtables("diff", snapshot.path, "--principal", ANA).code == 2


def test_what_no_snapshot_tells_keeps_a_difference_of_organizations_undecided(
    snapshot: Snapshot,
) -> None:
    """No policy in sight lets ana delete a bucket, but the policy of one that is not held could."""
    new = snapshot.path.parent / "new"
    shutil.copytree(snapshot.path, new)
    Snapshot(new).describe("p-nodelete", document("s3:Get*", "Deny"))
    given = ("diff", snapshot.path, new, "--principal", ANA, "--expect", "no-new-access")
    told = iamtables(*given)
    assert told.code == 4, told
    assert "newly allowed: undecided" in told.out
    assert "policies are not held (for example s3:deletebucket)" in " ".join(told.out.split())
