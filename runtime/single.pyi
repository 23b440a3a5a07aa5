"""One request at a time, from the objects a caller holds."""

from collections.abc import Iterable, Mapping
from typing import final

from .decisions import Decision
from .engine import Engine
from .identity import IdentityEngine
from .table import Table

class KeyReader:
    """Contexts of single requests, read into one constant column for each key of a table."""

    def __init__(
        self,
        engine: Engine,
        table: Table,
        kind: type[Decision],
        derivable: Iterable[int],
        budget_bytes: int,
    ) -> None:
        """kind: decisions.Decision
        derivable : numbers of the keys that follow from the sides where nobody gives them (CTX-3)
        """

@final
class Checker(KeyReader):
    """Checks under identity policies on one engine, which belongs to one thread.

    budget_bytes : caches of the engine, above which they are dropped and learnt anew
    """

    def __init__(
        self, engine: IdentityEngine, table: Table, kind: type[Decision], budget_bytes: int
    ) -> None:
        """kind: decisions.Decision"""

class Checks:
    """`check` as callers see it: keywords in, and no call of Python on the way to the kernel.

    A subclass makes the KeyReader (`_make_checker`) and answers what that does not (`_check_row`:
    errors, and arguments that are no plain texts, lists and dicts).
    """

    def check(
        self,
        *,
        action: str,
        resource: str | None,
        principal: str | None = None,
        context: Mapping[str, object] | None = None,
        unknown: Iterable[str] = (),
        issuer_arn: str | None = None,
        principal_account: str | None = None,
        principal_type: str | None = None,
        resource_account: str | None = None,
        is_management_account: bool = False,
        also_allowed: bool = False,
    ) -> Decision:
        """Decide one request.

        resource : an ARN or `*`; None when it is not known
        context  : key -> text, number, boolean, time, a list of these (a multivalued key), or None
                   (absent); keys compare without case
        unknown  : keys, or `prefix/*`, whose value is not known

        The rest matters where more than identity policies are in play:

        issuer_arn        : the role, with its path, or the IAM user behind a session (CT-2)
        principal_account, principal_type : override what the principal says of itself (PRIN-2)
        resource_account  : owner of the resource, where its ARN does not tell (EVAL-3); empty when
                            it is not known, None when it may be taken for the requester's
        is_management_account : the principal is of the organization's management account (EVAL-6)
        also_allowed      : means that are out of scope allow it: a grant, an ACL ... (EVAL-45)

        Raises RequestError for a malformed action or resource (ACT-8, RES-12), and for a principal
        that can make no request (PRIN-2).
        """

    def forget_checks(self) -> None:
        """Drop the caches of `check`."""

class SharedChecks(Checks):
    """`check` that threads may share: each has a KeyReader, and so caches, of its own."""
