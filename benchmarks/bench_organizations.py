"""How long does the snapshot of an organization take to load?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from organizations import FULL, SMALL, World, build_organization, generate, write_organization

from iamtables import Organization, PolicySet, load_organization

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
