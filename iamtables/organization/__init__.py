"""A directory of what AWS's tools print -> an `Organization`, ready to be compiled.

    load_organization(path)     the snapshot in a directory (docs/organization.md)

Documents keep their place: file, line and column of the export they came in.
"""

from __future__ import annotations

from ..compiler.organization import (
    LAYERS,
    Account,
    Endpoint,
    Organization,
    PolicySet,
    Principal,
    ResourcePolicy,
)
from .load import is_snapshot, load_organization

__all__ = [
    "LAYERS",
    "Account",
    "Endpoint",
    "Organization",
    "PolicySet",
    "Principal",
    "ResourcePolicy",
    "is_snapshot",
    "load_organization",
]
