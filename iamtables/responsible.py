"""Which entry of a statement matches a resource, as the policy writes it.

    entries = MatchedEntries(table)
    entries.of(statement, "arn:aws:s3:::logs/a")     # "arn:aws:s3:::logs/*", as it is written

Answers are texts of the policy, so that people find them there; they say which calls belong
together better than the resources of the calls do.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from .runtime.codes import NO_ID, State
from .runtime.conditions import UNKNOWN
from .source import Span

if TYPE_CHECKING:
    from .runtime import Table

_CACHED = 1 << 14
_MAX_CACHED_TEXT = 2048
"""Longer resources, which no AWS service has, are looked up each time: memory stays bounded."""


class MatchedEntries:
    """Resource entries of a table's statements, looked up once per (statement, resource)."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._unknown = dict.fromkeys(range(len(table.model.keys)), UNKNOWN)
        self._cached = lru_cache(maxsize=_CACHED)(self._of)

    def of(self, statement: int, resource: str | None) -> str | None:
        """The first entry of `Resource` that matches, or could once its variables are known.

        None where no single entry tells: `NotResource`, and an unknown resource where the
        statement has several entries.
        """
        if resource is not None and len(resource) > _MAX_CACHED_TEXT:
            return self._of(statement, resource)
        return self._cached(statement, resource)

    def _of(self, statement: int, resource: str | None) -> str | None:
        model = self._table.model
        set_id = int(model["statement_resource_set"][statement])
        if set_id == NO_ID or self._table.planner.sets.is_negated(set_id):
            return None
        entries = [(p, span) for p, span in model.entries("resource", statement) if p >= 0]
        if resource is None:
            return self._text(statement, entries[0][1]) if len(entries) == 1 else None
        sets = self._table.planner.sets
        for pattern, span in entries:
            if sets.pattern_state(pattern, resource, self._unknown) is not State.NO:
                return self._text(statement, span)
        return None

    def _text(self, statement: int, span: Span) -> str:
        """The entry without the quotes and escapes of JSON."""
        model = self._table.model
        source = model.source_texts[int(model["statement_document"][statement])]
        written = source.text[span.start : span.end]
        try:
            value = json.loads(written)
        except ValueError:
            return written
        return value if isinstance(value, str) else written


def written_statement(table: Table, statement: int) -> str:
    """A statement as it is written; equal for copies of one policy in two snapshots."""
    model = table.model
    span = model.part_span(statement, 0)
    source = model.source_texts[int(model["statement_document"][statement])]
    return source.text[span.start : span.end]


def resource_type(resource: str) -> str:
    """`arn:aws:kms:*:*:key/*` of a key: what an ARN names, with `*` for whose and which one."""
    fields = resource.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return resource if resource == "*" else "(other)"
    partition, service, region, account, rest = fields[1:]
    kind = min((rest[: at + 1] for sign in "/:" if (at := rest.find(sign)) > 0),
               key=len, default="")
    if service == "s3" and not account:  # a bucket has no type, and a slash begins a key
        kind = "*/" if kind else ""
    return ":".join(("arn", partition, service, region and "*", account and "*", f"{kind}*"))
