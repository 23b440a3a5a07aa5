"""The choices the specification leaves open, each with its default, in one place.

Options are part of a compilation: they are stored in the artefact and shown by `inspect`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal

from .errors import RequestError


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a policy where AWS documents no single answer."""

    invalid_statement: Literal["unknown", "never"] = "unknown"
    """A statement that cannot be understood matches `unknown`ly, or (GRAM-0) `never`."""
    resource_glob: Literal["span", "segment"] = "span"
    """RES-4: may a `*` that ends a segment of a `Resource` ARN cross colons?"""
    resource_early_vars: Literal["substitute", "literal"] = "substitute"
    """VAR-10: variables before the fifth colon of a `Resource` ARN; `literal` matches nothing."""
    null_notresource: Literal["match", "nomatch"] = "match"
    """VAR-6: a null variable in `NotResource` excludes nothing, or spoils the statement."""
    null_empty_string: Literal["null", "value"] = "null"
    """COND-12: is `""` a null data set for `Null` and the set operators?"""
    multivalued_plain: Literal["never", "any"] = "never"
    """COND-26: a plain operator on a multivalued key never matches, or matches if any does."""
    notprincipal: Literal["any", "chain"] = "any"
    """PRIN-11: any entry excepts the requester, or only its whole chain (account to session)."""
    trust_boundary: Literal["limit", "bypass"] = "limit"
    """EVAL-40: a boundary limits whom a trust policy names, or is bypassed as elsewhere."""
    missing_required_policy: Literal["deny", "account"] = "deny"
    """EVAL-44: a trust or key policy that is not given denies, or counts as one for the account."""

    @classmethod
    def from_mapping(cls, values: dict[str, str]) -> Options:
        """Options by name. Raises RequestError for an unknown name or value."""
        known = {f.name: f for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise RequestError(f"unknown option `{name}`", field="options",
                                   help=f"known options: {', '.join(known)}")
            allowed = _CHOICES[name]
            if value not in allowed:
                raise RequestError(f"option `{name}` cannot be `{value}`", field="options",
                                   help=f"choose one of: {', '.join(allowed)}")
        return cls(**values)  # type: ignore[arg-type]

    def to_mapping(self) -> dict[str, str]:
        return asdict(self)


_CHOICES: dict[str, tuple[str, ...]] = {
    "invalid_statement": ("unknown", "never"),
    "resource_glob": ("span", "segment"),
    "resource_early_vars": ("substitute", "literal"),
    "null_notresource": ("match", "nomatch"),
    "null_empty_string": ("null", "value"),
    "multivalued_plain": ("never", "any"),
    "notprincipal": ("any", "chain"),
    "trust_boundary": ("limit", "bypass"),
    "missing_required_policy": ("deny", "account"),
}
