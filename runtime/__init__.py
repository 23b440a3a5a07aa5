"""Deciding: tables times columns of requests. Imports numpy only; knows no policy text.

`open_table` maps a compiled file; `Table.check` answers one request, `Table.decide` columns.
"""

from .codes import DecisionCode, Effect, Layer, RowError, State
from .columns import DictionaryColumn
from .conditions import UNKNOWN
from .decisions import Decision, Decisions, Request
from .explain import Explanation, Miss, StatementTrace
from .model import SourceInfo, StatementInfo
from .session import Session
from .table import Table, open_table

__all__ = [
    "UNKNOWN",
    "Decision",
    "DecisionCode",
    "Decisions",
    "DictionaryColumn",
    "Effect",
    "Explanation",
    "Layer",
    "Miss",
    "Request",
    "RowError",
    "Session",
    "SourceInfo",
    "State",
    "StatementInfo",
    "StatementTrace",
    "Table",
    "open_table",
]
