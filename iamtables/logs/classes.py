"""Words of the mapping: record classes, kinds of requester, recorded outcomes, resource states."""

from __future__ import annotations

from enum import IntEnum


class RecordClass(IntEnum):
    """Every record that was read is in exactly one class, and the counts add up."""

    MAPPED = 0
    """Actions, resources and principal are known."""
    PARTIAL = 1
    """The action is known; a resource, another action or the principal is not."""
    NO_ACTION = 2
    """A call that needs no IAM permission."""
    NOT_A_CALL = 3
    """No authorization took place: a sign-in, a service's own event, an insight, a count."""
    UNMAPPED = 4
    """A call whose IAM action is not known."""

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class Requester(IntEnum):
    """Who asks, as far as it decides which policies apply. Only 0 has identity policies here."""

    ROLE_OR_USER = 0
    ROOT = 1
    SERVICE = 2
    ANONYMOUS = 3
    FEDERATED_PROVIDER = 4
    OTHER_ACCOUNT = 5
    """A principal of an account that is not the one that received the record."""
    UNKNOWN = 6


class Outcome(IntEnum):
    """What the record says about its own authorization."""

    NO_INFORMATION = 0
    PASSED = 1
    FAILED = 2


GIVEN = "given"
"""In `resources[]` of the record."""
PARAMETER = "param"
"""An ARN among the request parameters."""
MESSAGE = "message"
"""Named by the error message of a denied call."""
STAR = "star"
"""The action has no resource types: IAM checks it on `*`."""
SELF = "self"
"""A call about the caller's own user."""
TEMPLATE = "template"
"""Built from an ARN template and names in the parameters."""
PATTERN = "pattern"
"""Known in part: the resource is null, and a pattern covers what it can be."""
NAMED = "named"
"""By its name, which the log or an inventory gives in full."""
NOT_NEEDED = "not needed"
"""No policy asks for it: the action alone decides, so it was not built."""
NOT_KNOWN = "unknown"
"""The record does not tell; the resource is null."""
