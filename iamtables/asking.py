"""Who asked, as columns for a table of several layers: the session, and the role behind it.

Log readers name the principal whose policies apply: the role of a session, with its path. What a
resource policy may name, and what tells a federated user apart, is the session; its ARN is put
together here, once per distinct caller of a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .logs.classes import Requester
from .logs.columns import UNKNOWN, Coded, Dictionary, packed

RESOURCE_ACCOUNT = "aws:ResourceAccount"
"""Key under which a reader hands out the owner of a resource."""

DECIDABLE = frozenset(Requester) - {Requester.UNKNOWN}
"""Kinds of requester that can be decided once all layers are known."""


def asking_columns(batch: Any, rows: NDArray[np.int32]) -> dict[str, Coded]:
    """`principal`, `issuer_arn` and `resource_account` of these rows of a batch.

    An owner that the record does not tell is unknown, not assumed (EVAL-3's assumption is for
    questions of a person).
    """
    owner = {key.lower(): column for key, column in batch.context.items()}.get(
        RESOURCE_ACCOUNT.lower())
    if owner is None:
        owner_codes = np.full(len(rows), UNKNOWN, dtype=np.int32)
        owners = Coded(owner_codes, [])
    else:
        codes = owner.codes[rows]
        owners = Coded(np.where(codes < 0, UNKNOWN, codes).astype(np.int32), owner.values)
    if not hasattr(batch, "session"):  # a table of requests says what it says
        return {"principal": Coded(batch.principal.codes[rows], batch.principal.values),
                "resource_account": owners}
    record = batch.group[rows]
    principal = batch.principal.codes[rows]
    session = batch.session.codes[record]
    kind = batch.principal_type.codes[record]
    who = batch.identity[record].astype(np.int64)
    _, first, inverse = np.unique(packed([principal, session, kind, who]), return_index=True,
                                  return_inverse=True)
    names, issuers = Dictionary(), Dictionary()
    name_codes = np.empty(len(first), dtype=np.int32)
    issuer_codes = np.empty(len(first), dtype=np.int32)
    for at, place in enumerate(first.tolist()):
        name, issuer = _asking(
            _text(batch.principal.values, int(principal[place])),
            _text(batch.session.values, int(session[place])),
            _text(batch.principal_type.values, int(kind[place])),
            Requester(int(who[place])),
        )
        name_codes[at] = names.optional(name)
        issuer_codes[at] = issuers.optional(issuer)
    inverse = inverse.ravel()
    return {
        "principal": Coded(name_codes[inverse], names.values),
        "issuer_arn": Coded(issuer_codes[inverse], issuers.values),
        "resource_account": owners,
    }


def _text(values: Any, code: int) -> str | None:
    return str(values[code]) if code >= 0 else None


def _asking(principal: str | None, session: str | None, kind: str | None, who: Requester
            ) -> tuple[str | None, str | None]:
    """(who signed, the role or user behind it), as far as the record tells."""
    if who is Requester.ANONYMOUS:
        return "anonymous", None
    if principal is None or not session:
        return principal, None
    fields = principal.split(":", 5)
    if len(fields) < 6 or fields[5] == "root":
        return principal, None
    place = f"arn:{fields[1]}:sts::{fields[4]}"
    if kind == "FederatedUser":
        return f"{place}:federated-user/{session}", principal
    if fields[5].startswith("role/"):
        name = fields[5].rpartition("/")[2]
        return f"{place}:assumed-role/{name}/{session}", principal
    return principal, None

