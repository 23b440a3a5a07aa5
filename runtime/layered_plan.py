"""What the layered engine asks once per distinct requester, resource, action and principal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestError
from .codes import NO_ID, Layer, PrincipalKind
from .conditions import UNKNOWN, Value
from .decisions import Request
from .derived_rows import DerivedRows
from .estates import Bundle, Estate, LayersEstate, RequesterSide
from .evaluation import Asker, asker_of, truth_row
from .kept import Kept, is_keepable
from .model import TableModel
from .plan import ASCII_LOWER, SET_ANY, SET_UNREADABLE, Planner, is_action
from .plan_facts import inverse_of, runs_of
from .principals import Asked, Levels, PrincipalElement, is_unique_id, levels_of
from .requesters import RequesterKind, read_requester
from .signals import Signal
from .values import decode_text, encode_text
from .verdicts import Facts, Rules, judge

UInt8Array = NDArray[np.uint8]
UInt32Array = NDArray[np.uint32]

SET_NEVER = 0xFFFFFFFD

ACTION_TRUST = 1
ACTION_FEDERATED = 2
ACTION_KMS = 4
ACTION_BUCKET_POLICY = 8
ACTION_NO_RCP = 16
ACTION_CALLER = 32
ACTION_TOKEN = 64
ACTION_ERROR = 0x8000

REQUESTER_ROOT = 1
REQUESTER_CALLER = 2
REQUESTER_TOKEN = 4
REQUESTER_UNDER_RCPS = 8
REQUESTER_UNDER_ENDPOINTS = 16

RESOURCE_KNOWN = 1
RESOURCE_KEY = 2
RESOURCE_ROLE = 4
RESOURCE_HAS_POLICY = 8

IS_FALSE, IS_TRUE = 1, 2
_MOST_REQUESTERS = 16_384
"""Requesters that a table keeps, about two kilobytes each; and as many sides and shapes."""
_MOST_ACTION_BYTES = 1 << 23
"""Bytes of the states of action sets that a table keeps."""

def _flags_of(kind: RequesterKind) -> int:
    flags = REQUESTER_ROOT if kind is RequesterKind.ROOT else 0
    if kind not in (RequesterKind.ANONYMOUS, RequesterKind.PROVIDER):
        flags |= REQUESTER_CALLER
    return flags | REQUESTER_TOKEN if kind in (RequesterKind.USER, RequesterKind.ROOT) else flags


_OF_KIND = {kind: (int(asker_of(kind)), _flags_of(kind)) for kind in RequesterKind}
"""Asker and flags of each kind of requester."""

_CLAIMS = {1: (False,), 2: (True,), 3: (False, True)}

_ACTIONS = {
    "sts:assumerole": ACTION_TRUST,  # EVAL-40
    "sts:tagsession": ACTION_TRUST,
    "sts:setsourceidentity": ACTION_TRUST,
    "sts:setcontext": ACTION_TRUST,
    "sts:assumerolewithsaml": ACTION_FEDERATED,  # EVAL-41
    "sts:assumerolewithwebidentity": ACTION_FEDERATED,
    "s3:getbucketpolicy": ACTION_BUCKET_POLICY,  # EVAL-16
    "s3:putbucketpolicy": ACTION_BUCKET_POLICY,
    "s3:deletebucketpolicy": ACTION_BUCKET_POLICY,
    "kms:retiregrant": ACTION_KMS | ACTION_NO_RCP,  # EVAL-8
    "sts:getcalleridentity": ACTION_CALLER,  # EVAL-11
    "sts:getsessiontoken": ACTION_TOKEN,  # EVAL-12
}


class LayerFacts(NamedTuple):
    """Arrays derived from a table for the layered kernels; shared by its engines."""

    class_start: UInt32Array
    run_start: UInt32Array
    run: UInt32Array
    """Statements of each class as runs: `run[2 * i]` up to `run[2 * i + 1]`."""

    set_start: UInt32Array
    set_statement: UInt32Array
    """Statements of each action set; one more set stands for elements that cannot be read."""

    statement_effect: UInt8Array
    statement_flags: UInt8Array
    statement_resource: UInt32Array
    statement_principal: UInt32Array
    statement_test_start: UInt32Array
    statement_test: UInt32Array
    element_reads: UInt8Array
    key_user_id: int
    key_principal_arn: int
    key_assumed_root: int
    key_endpoint: int
    assumes_account: bool
    has_endpoints: bool


class AskingRequester(NamedTuple):
    """A requester as the kernel stores it; `account` and `partition` are None for none."""

    side: RequesterSide
    rows: Bundle
    rcps: Bundle
    asker: int
    flags: int
    account: bytes | None
    partition: bytes | None
    given: int
    scp: int
    derived: tuple[object, ...]


class AskedResource(NamedTuple):
    """A resource as the kernel stores it.

    account   : owner; None: the requester's (EVAL-3's assumption); empty: not known
    partition : None for `*`, which is of every partition
    """

    plain: Bundle
    trust: Bundle
    rcps: Bundle
    flags: int
    account: bytes | None
    partition: bytes | None
    derived: tuple[object, ...]


class LayeredPlanner(Planner):
    """Answers over a table with several layers. Safe between threads."""

    def __init__(self, model: TableModel) -> None:
        super().__init__(model)
        self.estate = _estate_of(model)
        self._elements = _principal_elements(model)
        self._key_number = {key.name: number for number, key in reversed(
            list(enumerate(model.keys)))}  # fmt: skip
        lowered: dict[str, list[int]] = {}
        for number, key in enumerate(model.keys):
            lowered.setdefault(key.name.lower(), []).append(number)
        self.requester_keys = _numbers(self.estate.derived_from_requester, lowered)
        self.resource_keys = _numbers(self.estate.derived_from_resource, lowered)
        self.endpoint_keys = _numbers(self.estate.derived_from_endpoint, lowered)
        self._requester_rows = self._rows_of(self.requester_keys)
        self._resource_rows = self._rows_of(self.resource_keys)
        self._endpoint_rows = self._rows_of(self.endpoint_keys)
        self.rules = Rules(
            model.options.trust_boundary == "bypass",
            model.options.missing_required_policy == "account",
        )
        self.layer_facts = self._build_layer_facts()
        self.requesters: Kept[tuple[bytes | None, ...], AskingRequester | None] = Kept(
            self.requester, _MOST_REQUESTERS
        )
        """`requester` by its arguments."""
        self.shapes: Kept[tuple[bytes], list[bytes] | None] = Kept(
            self.exceptions_of, _MOST_REQUESTERS
        )
        """`exceptions_of` by its argument."""
        self.action_facts: Kept[tuple[bytes | None], tuple[int, UInt8Array | None]] = Kept(
            self._action_facts,
            _MOST_ACTION_BYTES // (512 + len(model["action_set_negated"]) // 8),
        )
        """By text: ACTION_ flags, and the state of every action set, a bit each, lowest first."""
        self._sides: dict[tuple[object, ...], AskedResource] = {}

    # --- asked by the engine

    def requester(
        self,
        principal: bytes | None,
        issuer: bytes | None,
        account: bytes | None,
        principal_type: bytes | None,
        is_management: bool,
    ) -> AskingRequester | None:
        """None for a principal that is not given, or can make no request."""
        if principal is None:
            return None
        try:
            side = self.requester_side(
                decode_text(principal), _text(issuer), _text(account), _text(principal_type),
                is_management,
            )  # fmt: skip
        except RequestError:
            return None
        requester = side.requester
        asker, flags = _OF_KIND[requester.kind]
        flags |= REQUESTER_UNDER_RCPS if side.is_under_rcps else 0
        flags |= REQUESTER_UNDER_ENDPOINTS if side.is_under_endpoints else 0
        return AskingRequester(
            side,
            side.bundle,
            side.rcps,
            asker,
            flags,
            None if requester.account is None else encode_text(requester.account),
            None if requester.arn is None else encode_text(requester.arn.partition),
            sum(1 << signal for signal in side.given),
            ((1 << side.scp_levels) - 1) << Signal.SCP,
            self._requester_rows.row(side.derived),
        )

    def requester_side(
        self,
        principal: str,
        issuer: str | None,
        account: str | None,
        principal_type: str | None,
        is_management: bool,
    ) -> RequesterSide:
        """Raises RequestError for a principal that can make no request (PRIN-2)."""
        requester = read_requester(
            principal, principal_type=principal_type, principal_account=account, issuer_arn=issuer
        )
        return self.estate.requester_side(requester, is_management)

    def side(
        self,
        resource: bytes | None,
        account: bytes | None,
        is_account_unknown: bool,
        shape: bytes | None = None,
    ) -> AskedResource:
        """shape : all resources that begin with it have the side that `resource` has"""
        asked = (resource if shape is None else shape, shape is None, account, is_account_unknown)
        known = self._sides.get(asked)
        if known is None:
            known = self._side(resource, account, is_account_unknown)
            if is_keepable(asked):
                if len(self._sides) >= _MOST_REQUESTERS:
                    self._sides.clear()
                self._sides[asked] = known
        return known

    def _side(
        self, resource: bytes | None, account: bytes | None, is_account_unknown: bool
    ) -> AskedResource:
        text = _text(resource)
        given = "" if is_account_unknown and text != "*" else _text(account)  # EVAL-3
        side = self.estate.resource_side(text, given)
        flags = RESOURCE_KNOWN if side.is_known else 0
        flags |= RESOURCE_KEY if side.is_key else 0
        flags |= RESOURCE_ROLE if side.is_role else 0
        flags |= RESOURCE_HAS_POLICY if side.has_policy else 0
        return AskedResource(
            side.plain, side.trust, side.rcps, flags,
            None if side.account is None else encode_text(side.account),
            None if side.partition is None else encode_text(side.partition),
            self._resource_rows.row(side.derived),
        )  # fmt: skip

    def exceptions_of(self, shape: bytes) -> list[bytes] | None:
        """All resources that begin with a shape (shapes.pxd) have one side, but for these; None:
        each has to be asked for.
        """
        found = self.estate.exceptions_of(decode_text(shape))
        return None if found is None else [encode_text(text) for text in found]

    def endpoint(self, value: Value) -> tuple[Bundle, tuple[object, ...]]:
        side = self.estate.endpoint_side(value)
        return side.bundle, self._endpoint_rows.row(side.derived)

    def _action_facts(self, text: bytes | None) -> tuple[int, UInt8Array | None]:
        action = None if text is None else decode_text(text)
        if action is None or not is_action(action):
            return ACTION_ERROR, None
        folded = action.translate(ASCII_LOWER)
        flags = _ACTIONS.get(folded, 0)
        if folded.startswith("kms:"):
            flags |= ACTION_KMS
        return flags, self.action_set_bits(action)

    def levels(
        self, element: int, asking: AskingRequester, user_id: Value, principal_arn: Value
    ) -> int:
        """Levels at which a principal element matches: must | may << 8."""
        asked = Asked(asking.side.requester, asking.side.has_boundary, user_id, principal_arn)
        found = self.levels_of(element, asked)
        return found.must | found.may << 8

    def levels_of(self, element: int, asked: Asked) -> Levels:
        whole_chain = self.model.options.notprincipal == "chain"
        return levels_of(self._elements[element], asked, whole_chain)

    def principal_of(self, statement: int) -> int | None:
        """Id of a statement's principal element; None where its policy type has none."""
        element = int(self.model["statement_principal"][statement])
        return None if element == NO_ID else element

    def assumed_root(self, value: Value) -> int:
        """EVAL-52: is the root user one of AssumeRoot? IS_FALSE, IS_TRUE or both."""
        if value is UNKNOWN:
            return IS_FALSE | IS_TRUE
        return IS_TRUE if isinstance(value, str) and value.lower() == "true" else IS_FALSE

    def truth_row(self, asker: int, stage: int) -> UInt8Array:
        return truth_row(asker, stage, is_boundary_bypassed=self.rules.is_boundary_bypassed)

    def deciders(self, row: tuple[int, int, Sequence[int]] | None, request: Request
                 ) -> tuple[Layer, ...]:  # fmt: skip
        """All layers behind a decision; `row` is what LayeredEngine.last_row said of it."""
        if row is None:
            return (Layer.SERVICE,)
        must, may, (asker, *claims, is_root, is_bucket_policy, has_policy) = row
        side = self.requester_side(
            request.principal or "", request.issuer_arn, request.principal_account,
            request.principal_type, request.is_management_account,
        )  # fmt: skip
        same, partition, needs_policy, is_trust, is_assumed = (_CLAIMS[c] for c in claims)
        facts = Facts(
            Asker(asker), same, partition, needs_policy, is_trust, is_assumed, bool(is_root),
            bool(is_bucket_policy), bool(has_policy), request.also_allowed, side.scp_levels,
        )  # fmt: skip
        return judge(must, may, facts, self.rules).deciders

    # --- construction

    def _rows_of(self, keys: tuple[int, ...]) -> DerivedRows:
        return DerivedRows(self.model.keys[key].name.lower() for key in keys)

    def key_number(self, name: str) -> int:
        return self._key_number.get(name, NO_ID)

    def _build_layer_facts(self) -> LayerFacts:
        model = self.model
        constant = np.arange(len(model["resource_set_negated"]) + 1, dtype=np.uint32)
        constant[-1] = SET_UNREADABLE
        for states, number in zip(self.constant_sets, (SET_ANY, SET_NEVER), strict=True):
            constant[:-1][states] = number
        resource = model["statement_resource_set"].astype(np.int64)
        resource[resource == NO_ID] = len(constant) - 1
        reads = [self._reads(element) for element in self._elements]
        run_start, run = runs_of(model["class_start"], model["class_statement"])
        action_set = self._statement_action_set
        by_set = inverse_of(np.arange(len(action_set) + 1, dtype=np.uint32), action_set,
                            len(model["action_set_negated"]) + 1)  # fmt: skip
        return LayerFacts(
            class_start=model["class_start"],
            run_start=run_start,
            run=run,
            set_start=by_set.start,
            set_statement=by_set.lists,
            statement_effect=model["statement_effect"],
            statement_flags=model["statement_flags"],
            statement_resource=np.ascontiguousarray(constant[resource]),
            statement_principal=model["statement_principal"],
            statement_test_start=model["statement_predicate_start"],
            statement_test=model["statement_predicate"],
            element_reads=np.array(reads, dtype=np.uint8),
            key_user_id=self.key_number("aws:userid"),
            key_principal_arn=self.key_number("aws:PrincipalArn"),
            key_assumed_root=self.key_number("aws:AssumedRoot"),
            key_endpoint=self.key_number("aws:SourceVpce"),
            assumes_account=self.rules.is_account_assumed,
            has_endpoints=model.frame["kind"] == "organization"
            and self.key_number("aws:SourceVpce") != NO_ID,
        )

    def _reads(self, element: PrincipalElement) -> int:
        """Bit 0: it looks at `aws:userid` (PRIN-10); bit 1: at `aws:PrincipalArn` (PRIN-4)."""
        texts = [text for kind, text in element.entries if kind is PrincipalKind.AWS]
        reads = 0
        if self.key_number("aws:userid") != NO_ID and any(map(is_unique_id, texts)):
            reads |= 1
        if self.key_number("aws:PrincipalArn") != NO_ID and any(":role/" in t for t in texts):
            reads |= 2
        return reads


def _estate_of(model: TableModel) -> Estate:
    if model.frame["kind"] == "organization":
        from .organizations import OrganizationEstate

        return OrganizationEstate(model)
    return LayersEstate(model)


def _principal_elements(model: TableModel) -> list[PrincipalElement]:
    starts = model["principal_entry_start"].tolist()
    kinds = model["principal_entry_kind"].tolist()
    texts = model.texts("principal_entry_text")
    return [
        PrincipalElement(
            flags,
            tuple((PrincipalKind(kinds[e]), texts[e]) for e in range(start, stop)),
        )
        for flags, start, stop in zip(
            model["principal_element_flags"].tolist(), starts, starts[1:], strict=False
        )
    ]


def _numbers(names: Sequence[str], lowered: dict[str, list[int]]) -> tuple[int, ...]:
    """Numbers of the keys that a side derives; a name that ends in `*` is a family."""
    exact = frozenset(names)
    families = tuple(name[:-1] for name in names if name.endswith("*"))
    found: list[int] = []
    for key, numbers in lowered.items():
        if key in exact or key.startswith(families):
            found += numbers
    return tuple(found)


def _text(data: bytes | None) -> str | None:
    return None if data is None else decode_text(data)
