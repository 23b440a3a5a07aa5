"""How long does an organization take to load, to compile and to open, and how fast does it decide?

The large shape is that of the specification: 200 accounts, 20,000 principals, 5,000 policies, three
levels of SCPs, 2,000 resource policies. Decisions are asserted against the explanation, which works
them out again over unreduced statements.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from organizations import (
    FULL,
    SMALL,
    Shape,
    World,
    build_organization,
    generate,
    write_organization,
)

from iamtables import (
    DecisionCode,
    DictionaryColumn,
    Organization,
    PolicySet,
    Table,
    compile,
    load_organization,
    open_table,
)

Measure = Callable[..., Any]


@pytest.fixture(scope="module")
def world(is_timed: bool) -> World:
    return generate(FULL if is_timed else SMALL)


@pytest.fixture(scope="module")
def built(world: World) -> Organization:
    return build_organization(world)


@pytest.mark.benchmark(group="organization")
def test_how_long_does_a_directory_take(
    measure: Measure, world: World, built: Organization, tmp_path: Path
) -> None:
    write_organization(tmp_path, world)
    loaded = measure(
        lambda: load_organization(tmp_path),
        rows=len(built.principals),
        rounds=1,
        facts={
            "accounts": len(built.accounts),
            "resource_policies": len(built.resource_policies),
            "documents": len(_documents(built)),
        },
        unit="principals",
    )
    assert _meaning(loaded) == _meaning(built)
    # as many documents as there are policies: what many share is parsed once and stays one object
    assert len(_documents(loaded)) == len(_documents(built))


_ACTIONS = (
    "s3:GetObject", "s3:PutObject", "sqs:SendMessage", "kms:Decrypt", "ec2:DescribeVpcs",
    "iam:PassRole", "sts:AssumeRole", "logs:PutLogEvents", "dynamodb:GetItem",
    "secretsmanager:GetSecretValue", "lambda:InvokeFunction", "ecs:RunTask",
)  # fmt: skip
_MIDDLE = Shape(accounts=12, principals=240, policies=160, resource_policies=60, scps=9, rcps=4)


@pytest.fixture(scope="module")
def table(built: Organization) -> Table:
    return compile(built)


@pytest.mark.benchmark(group="organization")
def test_how_long_does_an_organization_take_to_compile(
    measure: Measure, built: Organization, tmp_path: Path
) -> None:
    made = measure(lambda: compile(built), rows=len(built.principals), rounds=1, unit="principals",
                   facts={"documents": len(_documents(built))})  # fmt: skip
    assert made.describe()["frame"]["principals"] == len(built.principals)
    assert made.describe()["frame"]["resource_policies"] == len(built.resource_policies)


@pytest.mark.benchmark(group="organization")
def test_how_long_does_a_compiled_organization_take_to_open(
    measure: Measure, built: Organization, table: Table, tmp_path: Path
) -> None:
    path = tmp_path / "org.iamt"
    table.save(path)
    opened = measure(lambda: open_table(path, verify=False), rows=1, unit="tables",
                     facts={"bytes": path.stat().st_size})  # fmt: skip
    assert opened.sha256 == table.sha256
    asked = {"principal": built.principals[0].arn, "action": "s3:GetObject", "resource": "*"}
    assert opened.check(**asked).decision == table.check(**asked).decision


@pytest.mark.benchmark(group="organization")
@pytest.mark.parametrize("size", ["small", "large"])
def test_how_fast_are_columns_decided_in_an_organization(
    measure: Measure, is_timed: bool, size: str, table: Table, built: Organization
) -> None:
    rows = 300_000 if is_timed else 4_000
    if size == "small":
        built = build_organization(generate(SMALL))
        table = compile(built)
    elif not is_timed:
        built = build_organization(generate(_MIDDLE))
        table = compile(built)
    asked = _columns(built, rows, Random(11))
    with table.session() as session:
        out = measure(lambda: session.decide(**asked), rows=rows, rounds=5,
                      facts={"principals": len(built.principals)})  # fmt: skip
    for row in range(0, rows, rows // 100):
        one = {name: column.values[column.codes[row]] for name, column in asked.items()}
        explained = table.explain_request(**one)
        assert out.decision[row] == explained.decision
        assert out.decision[row] == DecisionCode.UNDETERMINED or (
            out.layer[row] in explained.deciders)  # fmt: skip
    assert out.counts()["ALLOW"] > 0 and out.counts()["IMPLICIT_DENY"] > 0


def _columns(built: Organization, rows: int, rng: Random) -> dict[str, DictionaryColumn]:
    """Requests of all its principals on a few hundred resources, drawn evenly."""
    principals = [p.arn for p in built.principals]
    resources = [f"arn:aws:s3:::b/{i}" for i in range(100)] + ["*"]
    resources += [r.arn for r in rng.sample(built.resource_policies, min(
        200, len(built.resource_policies)))]  # fmt: skip
    values = {"principal": principals, "action": list(_ACTIONS), "resource": resources}
    draw = np.random.default_rng(rng.randrange(1 << 30))
    return {
        name: DictionaryColumn(draw.integers(0, len(texts), rows).astype(np.int32), texts)
        for name, texts in values.items()
    }


def _documents(organization: Organization) -> set[int]:
    return {
        id(document)
        for principal in organization.principals
        for document in principal.identity.documents
    }


def _meaning(organization: Organization) -> Any:
    """What an organization says, without where it was written."""
    return (
        [
            (
                a.id,
                a.is_management,
                a.is_exported,
                a.org_id,
                a.org_path,
                a.resource_services,
                a.gaps,
                [_said(level) for level in a.scps or ()],
                [_said(level) for level in a.rcps or ()],
            )
            for a in organization.accounts
        ],
        sorted(
            (
                p.arn,
                p.unique_id,
                _said(p.identity),
                p.boundary and _said(p.boundary),
                sorted((p.tags or {}).items()),
            )
            for p in organization.principals
        ),
        sorted((r.arn, r.account, _said(r.policy)) for r in organization.resource_policies),
        [(e.id, e.account, e.vpc, e.is_gateway, _said(e.policy)) for e in organization.endpoints],
        organization.missing_layers,
        organization.kms_aliases,
    )


def _said(policies: PolicySet) -> Any:
    assert not policies.gaps
    return [
        (
            document.policy_type,
            document.version,
            [
                (
                    s.effect,
                    _values(s.action),
                    _values(s.resource),
                    [(c.base, c.key.value, [v.value for v in c.values]) for c in s.conditions],
                    [(e.kind, e.text.value) for e in s.principal.entries] if s.principal else None,
                )
                for s in document.statements
            ],
        )
        for document in policies.documents
    ]


def _values(element: Any) -> list[str] | None:
    return None if element is None else [entry.value for entry in element.entries]
