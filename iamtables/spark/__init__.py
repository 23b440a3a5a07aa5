"""Spark: audits and replays of logs that outgrow one machine.

    found = iamtables.spark.audit(spark, "org.iamt", ["/mnt/AWSLogs"], output="/mnt/decisions")
    found.summary.decisions

    found = iamtables.spark.replay(spark, "old.iamt", "new.iamt", ["/mnt/AWSLogs"])
    found.result.newly_denied

    iamtables.spark.decide(dataframe, "org.iamt", context={"aws:SourceIp": "ip"})

The compiled table is the one thing that travels: Spark ships the file, each worker process maps it
into memory once. Workers need iamtables without any extra and import neither its grammar nor its
compiler. Log files are read by the workers themselves, so their paths have to mean the same
everywhere: a shared mount, or an object store (`logs.sources`).

    parts     the files, cut into parts of about the same size
    tasks     what a worker does with a part
    reading   how it reads the part's files, as one reader would who has the whole log
    elsewhere what parts have to know of each other
    jobs      what the driver does: parts out, rows and counts back
    frames    `decide` and its `mapInArrow` function, for requests that Spark already has
    artefact  the compiled table as a worker finds it

Names are resolved when first used: a worker that decides frames imports `iamtables.runtime`, and
nothing that reads logs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frames import Decide, decide
    from .jobs import SparkAudit, SparkReplay, audit, replay

_HOME = {"Decide": ".frames", "SparkAudit": ".jobs", "SparkReplay": ".jobs", "audit": ".jobs",
         "decide": ".frames", "replay": ".jobs"}

__all__ = ["Decide", "SparkAudit", "SparkReplay", "audit", "decide", "replay"]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for Any

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value
