"""How long from CloudTrail files to a summary of decisions?

The log is the demo's: generated from a seed, gzip-compressed, in CloudTrail's directory layout.
Beside the audit stands what every other reader has to do first: inflate the files and parse their
JSON with the standard library, deciding nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import SEED, Corpus

import iamtables
from iamtables.audit import Audit
from iamtables.audit_counts import Summary
from iamtables.demo.sample import Sample, write_sample
from iamtables.logs import UNKNOWN, Batch, read_logs
from iamtables.reference import UNKNOWN as NOT_KNOWN
from iamtables.reference import evaluate_identity

JUDGED = 40
"""Requests of a batch that the reference evaluator decides, too."""

Measure = Callable[..., Any]


@pytest.fixture(scope="module")
def log(is_timed: bool, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    directory = tmp_path_factory.mktemp("log")
    return write_sample(directory, records=40_000 if is_timed else 4_000, seed=SEED)


@pytest.mark.benchmark(group="audit of a log")
def test_how_long_does_an_audit_of_a_log_take(
    measure: Measure, corpus: Corpus, table: iamtables.Table, log: Sample
) -> None:
    def audit_log() -> Summary:
        audit = Audit(table)
        for batch in read_logs([str(log.directory)], keys=list(table.keys)):
            audit.add(batch)
        return audit.summary()

    summary = measure(audit_log, rows=log.records, facts=facts_of(log), rounds=3, unit="records")
    assert summary.records == sum(summary.classes.values()) == log.records
    calls = summary.classes["mapped"] + summary.classes["partial"]
    assert summary.decided + sum(summary.not_carrying.values()) == calls
    assert sum(summary.decisions.values()) == summary.decided
    assert len([n for n in summary.decisions.values() if n]) >= 3
    assert_decided_as_the_rules_say(corpus, table, log)


@pytest.mark.benchmark(group="audit of a log")
def test_how_long_does_the_standard_library_take_to_parse_it(
    measure: Measure, log: Sample
) -> None:
    paths = sorted(Path(log.directory).rglob("*.json.gz"))

    def parse() -> int:
        return sum(len(json.loads(gzip.decompress(path.read_bytes()))["Records"])
                   for path in paths)

    assert measure(parse, rows=log.records, facts=facts_of(log), rounds=3,
                   unit="records") == log.records


def assert_decided_as_the_rules_say(corpus: Corpus, table: iamtables.Table, log: Sample) -> None:
    """The first batch: the table against the reference evaluator on some of its requests."""
    batch: Batch = next(iter(read_logs([str(log.directory)], keys=list(table.keys))))
    decided = table.decide(action=batch.action, resource=batch.resource, context=batch.context,
                           missing="unknown")
    policies = [json.loads(text) for text in corpus.policies]
    supplied = {key.lower(): column for key, column in batch.context.items()}
    for row in range(0, batch.requests, max(1, batch.requests // JUDGED)):
        context: dict[str, object] = {}
        for key in table.keys:
            column = supplied.get(key.lower())
            is_unknown = column is None or column.codes[row] == UNKNOWN
            context[key] = NOT_KNOWN if is_unknown else column.value(row)
        outcome = evaluate_identity(policies, action=str(batch.action.value(row)),
                                    resource=batch.resource.value(row), context=context)
        assert iamtables.DecisionCode(decided.decision[row]).name == outcome.decision


def facts_of(log: Sample) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in sorted(Path(log.directory).rglob("*.json.gz")):
        digest.update(path.read_bytes())
    return {"corpus_sha256": digest.hexdigest(), "corpus_seed": SEED, "records": log.records,
            "files": log.files, "json_bytes": log.json_bytes, "gzip_bytes": log.gzip_bytes}
