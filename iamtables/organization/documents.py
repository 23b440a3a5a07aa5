"""Policy documents of a snapshot: each text parsed once, each place with its own file and line.

An export repeats itself: every account brings the AWS-managed policies again, and thousands of
roles share a handful of trust policies. A text without findings is parsed once; the documents of
its other places share its statements and differ in their source. What has findings is parsed again
where it stands, because a finding names its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from ..compiler.organization import PolicySet
from ..errors import OrganizationError
from ..grammar.json_syntax import parse_json
from ..grammar.parser import decode, read_policy
from ..grammar.sources import load_text
from ..grammar.tree import Mode, PolicyDocument, PolicyType
from ..source import Source
from .files import SnapshotFile

_FULL_ACCESS = {
    "scp": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    "rcp": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*",'
    '"Resource":"*"}]}',
    "vpce": '{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*",'
    '"Resource":"*"}]}',
}
_FULL_ACCESS_NAMES = {
    "scp": "<FullAWSAccess>",
    "rcp": "<RCPFullAWSAccess>",
    "vpce": "<default endpoint policy>",
}


class DocumentStore:
    """Parses documents of one snapshot and remembers what it has parsed."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._parsed: dict[tuple[PolicyType, str], PolicyDocument] = {}
        self._shared: dict[tuple[str, PolicyType, str], PolicyDocument] = {}
        self._sets: dict[tuple[tuple[int, ...], tuple[str, ...]], PolicySet] = {}

    def in_file(
        self,
        file: SnapshotFile,
        raw: msgspec.Raw,
        policy_type: PolicyType,
        *,
        name: str,
        date: str = "",
    ) -> PolicyDocument:
        """The document that stands in `file` as `raw`: an object, or a string that holds it.

        name : of the place, for a string: lines inside it are not lines of the file
        """
        piece = file.piece(raw)
        place = f"{file.path}#{name}"
        if piece.text[:1] != b'"':
            return self._parse(
                Source(
                    file.path, decode(piece.text, place), date, line=piece.line, column=piece.column
                ),
                policy_type,
            )
        try:
            text = msgspec.json.decode(piece.text, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OrganizationError(
                f"`{file.path}:{piece.line}:{piece.column}` is no JSON string: {error}",
                path=file.path,
                name=name,
                help="write the file again",
            ) from None
        known = self._parsed.get((policy_type, text))
        if known is not None:
            return replace(known, source=Source(place, known.source.text, date))
        document = self.in_text(text, policy_type, name=place, date=date)
        if not document.diagnostics and document.source.name == place:
            self._parsed[policy_type, text] = document
        return document

    def in_text(
        self, text: str | bytes, policy_type: PolicyType, *, name: str, date: str = ""
    ) -> PolicyDocument:
        """The document in a text of its own, wrapped or URL-encoded as it may be."""
        return load_text(text, name=name, mode=self._mode, policy_type=policy_type, date=date)

    def shared(self, arn: str, document: PolicyDocument) -> PolicyDocument:
        """`document`, or the one that another account's export gave for the same policy and text.

        Documents are compiled by identity, and every account exports the AWS-managed policies.
        """
        return self._shared.setdefault((arn, document.policy_type, document.source.text), document)

    def full_access(self, policy_type: PolicyType) -> PolicyDocument:
        """FullAWSAccess, RCPFullAWSAccess or the policy an endpoint has by default (EVAL-19)."""
        return self._parse(
            Source(_FULL_ACCESS_NAMES[policy_type], _FULL_ACCESS[policy_type]), policy_type
        )

    def policy_set(
        self, documents: Iterable[PolicyDocument], gaps: Iterable[str] = ()
    ) -> PolicySet:
        """A set of documents, each once; equal sets are one object."""
        kept = tuple({id(document): document for document in documents}.values())
        named = tuple(dict.fromkeys(gaps))
        key = (tuple(map(id, kept)), named)
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = PolicySet(kept, named)
        return found

    def _parse(self, source: Source, policy_type: PolicyType) -> PolicyDocument:
        known = self._parsed.get((policy_type, source.text))
        if known is not None:
            at = known.source
            if (at.name, at.line, at.column) == (source.name, source.line, source.column):
                return known
            return replace(known, source=source)
        json = parse_json(source)
        document = read_policy(source, json, json.root, mode=self._mode, policy_type=policy_type)
        if not document.diagnostics:
            self._parsed[policy_type, source.text] = document
        return document
