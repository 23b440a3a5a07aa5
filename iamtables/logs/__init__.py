"""CloudTrail logs as batches of requests: `read_logs` and what it hands out."""

from .batch import Batch
from .classes import Outcome, RecordClass, Requester
from .columns import ABSENT, UNKNOWN, Coded
from .options import LogOptions
from .reader import LogReader, read_logs
from .statistics import Statistics

__all__ = [
    "ABSENT",
    "UNKNOWN",
    "Batch",
    "Coded",
    "LogOptions",
    "LogReader",
    "Outcome",
    "RecordClass",
    "Requester",
    "Statistics",
    "read_logs",
]
