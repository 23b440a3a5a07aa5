"""Results of queries and Security Lake: a row becomes the record it was made from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import FULL_ACCESS, iamtables
from log_records import ACCOUNT, ROLE, ROLE_IDENTITY, USER, record, write

from iamtables.logs import Batch, LogOptions, LogReader, RecordClass, read_logs

BUCKET = "arn:aws:s3:::data"
MADE = [
    record("s3", "GetObject", userIdentity=ROLE_IDENTITY, eventID="a" * 36,
           requestParameters={"bucketName": "data", "key": "k"},
           resources=[{"ARN": f"{BUCKET}/k", "type": "AWS::S3::Object"},
                      {"ARN": BUCKET, "accountId": ACCOUNT, "type": "AWS::S3::Bucket"}]),
    record("iam", "GetUser", eventID="b" * 36, requestParameters=None),
    record("ec2", "DeleteVpc", eventID="c" * 36, requestParameters={"vpcId": "vpc-1"},
           errorCode="Client.UnauthorizedOperation", errorMessage="no"),
    record("sts", "AssumeRole", eventID="d" * 36, requestParameters=None, errorCode="AccessDenied",
           errorMessage=f"User: {USER} is not authorized to perform: sts:AssumeRole on resource: "
           f"{ROLE} because no identity-based policy allows the sts:AssumeRole action"),
    record("ec2", "RunInstances", eventID="e" * 36, eventType="AwsServiceEvent"),
]
KEYS = ("aws:SourceIp", "aws:PrincipalArn", "aws:MultiFactorAuthPresent", "aws:userid",
        "aws:CurrentTime", "aws:username")


def read(path: Path, **options: Any) -> tuple[LogReader, Batch | None]:
    reader = read_logs([path], LogOptions(**options), keys=KEYS)
    batches = list(reader)
    reader.statistics.check()
    return reader, batches[0] if batches else None


def content(batch: Batch | None) -> dict[str, list[Any]]:
    """Everything of a batch that a policy or a summary can see."""
    assert batch is not None
    batch.check()
    columns = {"action": batch.action, "resource": batch.resource, "principal": batch.principal,
               "event_name": batch.event_name, "session": batch.session, "error": batch.error_code,
               "region": batch.region, "account": batch.account, **batch.context}
    return {name: column.to_list() for name, column in columns.items()} | {
        "class": batch.record_class.tolist(), "time": batch.time.tolist(),
        "outcome": batch.outcome.tolist(), "id": list(batch.event_id)}


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, list[Any]]:
    return content(read(write(tmp_path / "as-delivered.json", *MADE))[1])


def lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): lowered(inner) for key, inner in value.items()}
    return [lowered(item) for item in value] if isinstance(value, list) else value


def athena_rows() -> list[dict[str, Any]]:
    """As the CloudTrail SerDe gives them: names in lower case, parameters as JSON text."""
    rows = []
    for made in MADE:
        row = {key.lower(): value for key, value in made.items()}
        row["useridentity"] = lowered(made["userIdentity"])
        row["requestparameters"] = json.dumps(made["requestParameters"])
        row["resources"] = lowered(made.get("resources"))
        row["responseelements"] = "null"
        rows.append(row)
    names = {name for row in rows for name in row}
    return [dict.fromkeys(names) | row for row in rows]


def test_an_athena_result_in_parquet_gives_the_records_it_was_made_from(
    tmp_path: Path, expected: dict[str, list[Any]]
) -> None:
    path = tmp_path / "result.parquet"
    pq.write_table(pa.Table.from_pylist(athena_rows()), path)
    assert content(read(path)[1]) == expected


def test_an_athena_result_in_csv_with_json_identities(
    tmp_path: Path, expected: dict[str, list[Any]]
) -> None:
    path = tmp_path / "result.csv"
    rows = [row | {"useridentity": json.dumps(row["useridentity"]),
                   "resources": json.dumps(row["resources"]) if row["resources"] else ""}
            for row in athena_rows()]
    names = sorted({name for row in rows for name in row})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    assert content(read(path)[1]) == expected


def test_what_a_query_engine_printed_as_a_struct_is_refused_with_the_remedy(
    tmp_path: Path,
) -> None:
    path = tmp_path / "result.csv"
    path.write_text("eventsource,eventname,useridentity\n"
                    's3.amazonaws.com,GetObject,"{type=IAMUser, arn=x}"\n')
    reader, batch = read_logs([write(tmp_path / "ok.json", MADE[1]), path]), None
    batch = next(iter(reader))
    assert batch.records == 1
    list(reader)
    (name, reason), = reader.statistics.skipped
    assert name == str(path)
    assert "not JSON" in reason and "cast" in reason


def test_parameters_that_cannot_be_read_back_are_unknown_not_absent(tmp_path: Path) -> None:
    path = tmp_path / "lake.csv"
    identity = json.dumps(MADE[1]["userIdentity"]).replace('"', '""')
    path.write_text(
        "eventTime,eventSource,eventName,awsRegion,recipientAccountId,userIdentity,"
        "requestParameters\n"
        f"2026-01-02 03:04:05.000,ec2.amazonaws.com,DeleteVpc,eu-west-1,{ACCOUNT},"
        f'"{identity}","{{vpcId=vpc-1}}"\n')
    _, batch = read(path)
    assert batch is not None
    assert batch.time.tolist() == [1767323045]
    assert batch.resource.to_list() == [None]
    assert batch.resource_pattern.to_list() == [f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/*"]
    assert batch.record_class.tolist() == [RecordClass.PARTIAL]


def test_columns_of_an_identity_may_stand_alone(tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    path.write_text("eventsource,eventname,awsregion,recipientaccountid,useridentity.type,"
                    "useridentity.arn\n"
                    f"iam.amazonaws.com,ListUsers,us-east-1,{ACCOUNT},IAMUser,{USER}\n")
    _, batch = read(path)
    assert batch is not None
    assert batch.principal.to_list() == [USER]


def ocsf(version: str) -> list[dict[str, Any]]:
    """The same calls as Security Lake writes them; 1.0 and 1.1 name accounts differently."""
    rows = []
    for made in MADE[:4]:
        identity = made["userIdentity"]
        session = identity.get("sessionContext")
        account = ({"account_uid": identity["accountId"]} if version == "1.0"
                   else {"account": {"uid": identity["accountId"]}})
        rows.append({
            "class_uid": 6003, "time": 1767323045000,
            "metadata": {"uid": made["eventID"], "event_code": made["eventType"],
                         "product": {"version": "1.11"}},
            "api": {
                "operation": made["eventName"], "service": {"name": made["eventSource"]},
                "response": {"error": made.get("errorCode"), "message": made.get("errorMessage")},
                "request": {"uid": "x", "data": json.dumps(made["requestParameters"])}},
            "actor": {
                "user": {"type": identity["type"], "uid": identity["arn"],
                         "uid_alt": identity["principalId"], "name": identity.get("userName"),
                         "credential_uid": identity.get("accessKeyId"), **account},
                "session": {"issuer": ROLE, "is_mfa": False, "created_time": 1767322800000}
                if session else None},
            "src_endpoint": {"ip": made["sourceIPAddress"]},
            "http_request": {"user_agent": made["userAgent"]},
            "cloud": {"region": made["awsRegion"], "account": {"uid": ACCOUNT}},
            "resources": [{"uid": resource["ARN"]} for resource in made.get("resources", ())],
        })
    return rows


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_security_lake_gives_the_records_it_was_made_from(tmp_path: Path, version: str) -> None:
    path = tmp_path / "lake.parquet"
    pq.write_table(pa.Table.from_pylist(ocsf(version)), path)
    # OCSF cannot tell null parameters from missing ones: they are unknown there
    found, wanted = content(read(path)[1]), content(
        read(write(tmp_path / "same.json", *MADE[:4]))[1])
    for name in ("action", "principal", "event_name", "session", "error", "region", "account",
                 "time", "outcome", "id", *KEYS):
        assert found[name] == wanted[name], name
    assert found["resource"][0] == f"{BUCKET}/k"
    assert found["resource"][-1] == ROLE


def test_rows_without_an_event_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = athena_rows()
    rows[2]["eventname"] = None
    pq.write_table(pa.Table.from_pylist(rows), path)
    reader, batch = read(path)
    assert batch is not None and batch.records == 4
    assert reader.statistics.bad_reasons() == {"not a CloudTrail record": 1}


def test_a_damaged_parquet_file_is_a_counted_failure(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.Table.from_pylist(athena_rows()), path)
    path.write_bytes(path.read_bytes()[:-40])
    reader = read_logs([write(tmp_path / "ok.json", MADE[1]), path], keys=[])
    list(reader)
    assert "cannot be read as Parquet" in reader.statistics.failed[0][1]


def test_audit_tells_tables_of_events_from_tables_of_requests(tmp_path: Path) -> None:
    path = tmp_path / "result.parquet"
    pq.write_table(pa.Table.from_pylist(athena_rows()), path)
    done = iamtables("audit", "--policy", FULL_ACCESS, "--format", "json", path)
    assert done.code == 0
    assert done.json()["classes"]["mapped"] == 4
    pq.write_table(pa.table({"other": [1]}), path)
    done = iamtables("audit", "--policy", FULL_ACCESS, path)
    assert done.code == 3 and "no column `action`" in done.err
