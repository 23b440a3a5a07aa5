"""What parts have to know of each other, found by the driver in the rows of their first run.

    records that come twice   (CloudTrail delivers at least once, and trails overlap) belong to the
                earlier part. Spark brings their hashes together.
    corrections replace a record of any part; of two for one record the first one counts
    names       what records tell of an IAM name (`logs.names`) holds in all of the log
    tags        of a session are told by the call that began it (`logs.sessions`), and go on to the
                sessions that are begun out of it

Hashes and questions come by the record, so they stay in Spark. Corrections and the beginnings of
sessions are few; the driver collects them, and keeps to the limits of one reader.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..logs.asked_keys import session_tag
from ..logs.sessions import Sessions
from .reading import Facts, tag_question

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIELDS = {"seen": "array<bigint>", "corrected": "array<bigint>", "before": "array<bigint>",
          "answers": "map<string,string>"}
"""Columns of what a part has to know, as `reading.Elsewhere` has them, and their types."""


def told_elsewhere(spark: SparkSession, rows: DataFrame, keys: Sequence[str]) -> DataFrame:
    """part, FIELDS: only the parts to which records of others make a difference.

    keys : the context keys that are asked for
    """
    from pyspark.sql import functions as F

    facts = [(row.part, pickle.loads(bytes(row.facts)))
             for row in of_parts(rows, "facts").collect()]
    facts.sort(key=lambda one: one[0])
    of_tags = tags(facts, keys)
    found = [_seen_before(rows), _answered_otherwise(rows, _frame(
        spark, "question string, told string", *zip(*of_tags, strict=True)) if of_tags else None)]
    corrections = Corrections.of(facts)
    if corrections.targets:
        corrected = F.broadcast(_frame(spark, "hash bigint", sorted(corrections.targets)))
        found[0] = _seen_before(rows, corrected)
        found.append(of_parts(rows, "hash").join(corrected, "hash").groupBy("part").agg(
            F.collect_set("hash").alias("corrected")))
        if corrections.told:
            found.append(spark.createDataFrame(
                corrections.told, "part int, seen array<bigint>, before array<bigint>"))
    whole = found[0]
    for one in found[1:]:
        whole = whole.unionByName(one, allowMissingColumns=True)
    for name, kind in FIELDS.items():
        if name not in whole.columns:
            whole = whole.withColumn(name, F.lit(None).cast(kind))
    return whole.groupBy("part").agg(*(
        (F.first(name, ignorenulls=True) if name == "answers" else
         F.flatten(F.collect_list(name))).alias(name) for name in FIELDS))


def of_parts(rows: DataFrame, name: str, *more: str) -> DataFrame:
    """part, the column and more, where it is not null."""
    return rows.where(f"{name} IS NOT NULL").select("part", name, *more)


def _frame(spark: SparkSession, schema: str, *columns: Any) -> DataFrame:
    import pyarrow as pa

    names = [one.split()[0] for one in schema.split(", ")]
    return spark.createDataFrame(pa.table(dict(zip(names, columns, strict=True))), schema)


def _seen_before(rows: DataFrame, corrected: DataFrame | None = None) -> DataFrame:
    """part -> the hashes of its records that an earlier part has, where there are some.

    corrected : hashes that are left out: whichever part has those records, they are replaced
    """
    from pyspark.sql import functions as F

    hashes = of_parts(rows, "hash")
    if corrected is not None:
        hashes = hashes.join(corrected, "hash", "left_anti")
    shared = hashes.groupBy("hash").agg(
        F.min("part").alias("first"), F.count("part").alias("parts")).where("parts > 1")
    return hashes.join(shared, "hash").where("part > first").groupBy("part").agg(
        F.collect_list("hash").alias("seen"))


@dataclass(slots=True)
class Corrections:
    """What the corrections of all parts come to; the rule is that of `logs.corrections`.

    targets : hashes of records that one replaces
    told    : part, hashes that its corrections must take for seen, and targets of earlier parts
    """

    targets: set[int] = field(default_factory=set)
    told: list[tuple[int, list[int], list[int]]] = field(default_factory=list)

    @classmethod
    def of(cls, facts: Iterable[tuple[int, Facts]]) -> Corrections:
        """facts : in the order of parts"""
        whole = cls()
        seen: set[int] = set()
        for part, fact in facts:
            pairs = fact.corrections.view(np.int64).tolist()
            own = {number for pair in pairs for number in pair}
            if known := seen & own:
                whole.told.append((part, sorted(known), sorted(whole.targets & own)))
            for number, target in pairs:
                if number != target:
                    if number in seen:
                        continue  # it came twice
                    seen.add(number)
                if target not in seen:
                    whole.targets.add(target)
                seen.add(target)
        return whole


def tags(facts: Iterable[tuple[int, Facts]], keys: Sequence[str]
         ) -> list[tuple[str, str | None]]:
    """(question, value): what all parts together tell of tags; none where no session has any."""
    names = [name for key in keys if (name := session_tag(key)) is not None]
    if not names:
        return []
    whole = Sessions()
    for _, fact in facts:
        if fact.sessions and not whole.is_full:
            whole.restore(fact.sessions)
    if not whole.has_tags:
        return []
    return [(tag_question(key, name), whole.tag(key, name))
            for key in whole.access_keys() for name in names]


def _answered_otherwise(rows: DataFrame, of_tags: DataFrame | None) -> DataFrame:
    """part -> the questions that it answered otherwise than all parts together, with answers."""
    from pyspark.sql import functions as F

    answers = of_parts(rows, "question", "answer", "is_asked")
    told = answers.where("NOT is_asked").groupBy("question").agg(
        # two ARNs for one name, in one part or in two: it has been made anew, and says nothing
        F.expr("CASE WHEN count(*) = count(answer) AND min(answer) = max(answer) "
               "THEN min(answer) END").alias("told"))
    if of_tags is not None:
        told = told.unionByName(of_tags)
    wrong = answers.where("is_asked").join(told, "question").where("NOT (answer <=> told)").select(
        "part", "question", "told").distinct()
    return wrong.groupBy("part").agg(
        F.map_from_entries(F.collect_list(F.struct("question", "told"))).alias("answers"))
