"""`iamtables init`: a skeleton that is never written over anything, and scripts that fill it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from command_line import iamtables
from snapshots import APP, MANAGEMENT, ORG, ROOT, UNIT, A, B, details, document, role

from iamtables import OrganizationError, load_organization
from iamtables.organization.skeleton import SCRIPTS

HERE = f"eu-west-1:{A}"
TOPIC, KEY = f"arn:aws:sns:{HERE}:news", f"arn:aws:kms:{HERE}:key/1"
REPOSITORY, FUNCTION = (
    f"arn:aws:ecr:{HERE}:repository/team/app",
    f"arn:aws:lambda:{HERE}:function:f",
)
SECRET, TABLE = (
    f"arn:aws:secretsmanager:{HERE}:secret:a/b-Ab12Cd",
    f"arn:aws:dynamodb:{HERE}:table/t",
)


def policy(action):
    return json.dumps(document(action, Principal="*"))


def scps(*names):
    return {"Policies": [{"Id": n, "Type": "SERVICE_CONTROL_POLICY"} for n in names]}


NOT_FOUND = "An error occurred ({}) when calling an operation"
ANSWERS = {
    "sts get-caller-identity": f"{A}\tarn:aws:iam::{A}:user/x\n",
    "iam get-account-authorization-details": details(roles=(role(),)),
    "s3api list-buckets": "logs\tempty\thidden\n",
    "s3api get-bucket-policy --bucket logs": {"Policy": policy("s3:Get*")},
    "s3api get-bucket-policy --bucket empty": NOT_FOUND.format("NoSuchBucketPolicy"),
    "s3api get-bucket-policy --bucket hidden": NOT_FOUND.format("AccessDenied"),
    "ec2 describe-regions": "eu-west-1\n",
    "ec2 describe-vpc-endpoints": {"VpcEndpoints": [{"VpcEndpointId": "vpce-1"}]},
    "kms list-aliases": {
        "Aliases": [{"AliasArn": f"arn:aws:kms:{HERE}:alias/a", "TargetKeyId": "1"}]
    },
    "kms list-keys": KEY,
    f"kms get-key-policy --policy-name default --key-id {KEY}": {"Policy": policy("kms:*")},
    "sqs list-queues": f"https://sqs.eu-west-1.amazonaws.com/{A}/jobs",
    "sqs get-queue-attributes": {"Attributes": {"QueueArn": f"arn:aws:sqs:{HERE}:jobs"}},
    "sns list-topics": TOPIC,
    f"sns get-topic-attributes --topic-arn {TOPIC}": {"Attributes": {"Policy": policy("sns:*")}},
    "secretsmanager list-secrets": SECRET,
    "secretsmanager get-resource-policy": {"ARN": SECRET, "Name": "a/b"},
    "lambda list-functions": FUNCTION,
    "lambda get-policy": NOT_FOUND.format("ResourceNotFoundException"),
    "ecr describe-repositories": REPOSITORY,
    "ecr get-repository-policy --repository-name team/app": {"policyText": policy("ecr:*")},
    "dynamodb list-tables": NOT_FOUND.format("AccessDeniedException"),
    "organizations describe-organization": {
        "Organization": {"Id": ORG, "MasterAccountId": MANAGEMENT}
    },
    "organizations list-roots": {
        "Roots": [
            {"Id": ROOT, "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]}
        ]
    },
    f"organizations list-organizational-units-for-parent --parent-id {ROOT}": {
        "OrganizationalUnits": [{"Id": UNIT}]
    },
    "organizations list-organizational-units-for-parent": {"OrganizationalUnits": []},
    f"organizations list-accounts-for-parent --parent-id {ROOT}": {"Accounts": [{"Id": B}]},
    "organizations list-accounts-for-parent": {"Accounts": [{"Id": A}]},
    f"organizations list-policies-for-target --target-id {UNIT} --filter SERVICE": scps(
        "p-FullAWSAccess", "p-guard001"
    ),
    "organizations list-policies-for-target": scps("p-FullAWSAccess"),
    "organizations describe-policy --policy-id p-guard001": {
        "Policy": {
            "PolicySummary": {"Id": "p-guard001"},
            "Content": json.dumps(document("ec2:*", "Deny")),
        }
    },
    "organizations describe-policy": {
        "Policy": {"PolicySummary": {"Id": "p-FullAWSAccess"}, "Content": json.dumps(document("*"))}
    },
}

FAKE = """
    #!{python}
    import json, sys
    answers = json.load(open({answers!r}))
    at = sys.argv.index("--profile")
    assert sys.argv[at + 1] == "p q", sys.argv
    line = " ".join(sys.argv[1:at] + sys.argv[at + 2 :])
    if "RESOURCE_CONTROL_POLICY" in line:
        sys.exit("An error occurred (PolicyTypeNotEnabledException)")
    best = max((k for k in answers if line.startswith(k)), key=len)
    answer = answers[best]
    if isinstance(answer, str) and answer.startswith("An error"):
        sys.exit(answer)
    print(answer if isinstance(answer, str) else json.dumps(answer, indent=4))
"""


@pytest.fixture
def run(tmp_path):
    """Runs a script of the skeleton with an `aws` that gives the answers above."""
    if shutil.which("bash") is None:
        pytest.skip("the scripts need bash")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "answers.json").write_text(json.dumps(ANSWERS))
    fake = (
        textwrap.dedent(FAKE)
        .strip()
        .format(python=sys.executable, answers=str(tmp_path / "answers.json"))
    )
    (tools / "aws").write_text(fake)
    (tools / "aws").chmod(0o755)

    def script(name):
        return subprocess.run(
            [str(tmp_path / "org" / name), "--profile", "p q"],
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        )

    assert iamtables("init", tmp_path / "org").code == 0
    return script


def test_a_skeleton_has_a_readme_and_scripts(tmp_path):
    finished = iamtables("init", tmp_path / "org")
    assert finished.code == 0 and finished.out == "" and "fill-account.sh" in finished.err
    assert {p.name for p in (tmp_path / "org").iterdir()} == {
        "README.md",
        *SCRIPTS,
        "organization",
        "accounts",
        "aws-managed",
    }
    assert all(os.access(tmp_path / "org" / script, os.X_OK) for script in SCRIPTS)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "mine.txt").write_text("mine")
    finished = iamtables("init", tmp_path / "org")
    assert finished.code == 3 and "is not empty" in finished.err
    assert [p.name for p in (tmp_path / "org").iterdir()] == ["mine.txt"]


def test_a_skeleton_that_nobody_filled_is_no_organization(tmp_path):
    iamtables("init", tmp_path / "org")
    with pytest.raises(OrganizationError, match="holds no accounts"):
        load_organization(tmp_path / "org")


def test_the_script_of_an_account_fills_it(run, tmp_path):
    finished = run("fill-account.sh")
    assert finished.returncode == 0, finished.stderr
    assert "AccessDenied" in finished.stderr and "NoSuchBucketPolicy" not in finished.stderr
    organization = load_organization(tmp_path / "org")
    assert [p.arn for p in organization.principals] == [APP]
    account = organization.accounts[0]
    assert account.is_exported and account.resource_services == {
        "s3",
        "kms",
        "sqs",
        "sns",
        "secretsmanager",
        "lambda",
        "ecr",
    }  # not dynamodb: its list failed
    found = {
        r.arn: (len(r.policy.documents), len(r.policy.gaps)) for r in organization.resource_policies
    }
    assert found == {
        APP: (1, 0),
        "arn:aws:s3:::logs": (1, 0),
        "arn:aws:s3:::empty": (0, 0),
        "arn:aws:s3:::hidden": (0, 1),
        KEY: (1, 0),
        TOPIC: (1, 0),
        REPOSITORY: (1, 0),
        SECRET: (0, 0),
        FUNCTION: (0, 0),
        f"arn:aws:sqs:{HERE}:jobs": (0, 0),
    }
    assert organization.kms_aliases == {f"arn:aws:kms:{HERE}:alias/a": KEY}
    assert [e.id for e in organization.endpoints] == ["vpce-1"]


def test_the_script_of_the_organization_fills_it(run, tmp_path):
    finished = run("fill-organization.sh")
    assert finished.returncode == 0, finished.stderr
    organization = load_organization(tmp_path / "org")
    accounts = {a.id: a for a in organization.accounts}
    assert set(accounts) == {A, B}
    assert [len(level.documents) for level in accounts[A].scps] == [1, 2, 1]
    assert not any(level.gaps for a in organization.accounts for level in a.scps)
    assert accounts[A].rcps == ()  # the organization does not use them
    assert accounts[A].org_path == f"{ORG}/{ROOT}/{UNIT}/"
