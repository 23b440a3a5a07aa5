"""Documents of AWS-managed policies that no export holds: the directory `aws-managed/`."""

from __future__ import annotations

import os
from urllib.parse import unquote

from ..errors import OrganizationError
from ..grammar.tree import PolicyDocument, PolicyType
from .documents import DocumentStore
from .files import json_files, read_file


class ManagedPolicies:
    """Files named after the policy (`AdministratorAccess.json`) or its percent-encoded ARN, as
    `aws iam get-policy-version` prints them or plain. Read when something is attached to them."""

    def __init__(self, directory: str, store: DocumentStore) -> None:
        self._store = store
        self._files: dict[str, str] = {}
        self._read: dict[tuple[str, PolicyType], PolicyDocument | None] = {}
        for path in json_files(directory):
            name = unquote(os.path.basename(path).removesuffix(".json"))
            earlier = self._files.setdefault(name, path)
            if earlier != path:
                raise OrganizationError(
                    f"`{path}` and `{earlier}` are both `{name}`",
                    path=path,
                    name=name,
                    help="keep one of them",
                )

    def document(self, arn: str, policy_type: PolicyType) -> PolicyDocument | None:
        """The document of an AWS-managed policy; None for any other, or when there is no file."""
        fields = arn.split(":", 5)
        if len(fields) < 6 or fields[4] != "aws":
            return None
        path = self._files.get(arn) or self._files.get(fields[5].rpartition("/")[2])
        if path is None:
            return None
        key = path, policy_type
        if key not in self._read:
            file = read_file(path)
            self._read[key] = (
                None if file.is_blank else self._store.in_text(file.data, policy_type, name=path)
            )
        return self._read[key]
