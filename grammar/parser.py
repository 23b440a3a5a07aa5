"""One text -> one `PolicyDocument`.

Text that is not JSON gives one diagnostic and PolicySyntaxError in both modes. Everything else is
collected: strict mode raises PolicySemanticError if any of it is an error, lenient mode keeps it in
`PolicyDocument.diagnostics` and marks what is spoiled (`structure.py`).
"""

from __future__ import annotations

from ..errors import LimitError, PolicySemanticError, PolicySyntaxError, RequestError
from ..source import Source, Span
from .findings import DUP_KEY, NOT_AN_OBJECT, NOT_UTF8, Findings, quoted
from .json_syntax import Json, JsonObject, JsonValue, described, parse_json
from .structure import read_document
from .tree import Mode, PolicyDocument, PolicyType
from .vocabulary import POLICY_TYPES

MAX_CHARACTERS = 2 * 1024 * 1024
"""Characters of one document. AWS stores at most 32 kB; the output of its tools wraps that."""
MODES: tuple[Mode, ...] = ("strict", "lenient")

_BOM = "\ufeff"


def parse_policy(
    text: str | bytes,
    *,
    name: str = "<policy>",
    mode: Mode = "lenient",
    policy_type: PolicyType = "identity",
    date: str = "",
) -> PolicyDocument:
    """The policy document in `text`, which messages call `name`.

    mode : `strict` refuses what AWS would refuse to store; `lenient` records it and goes on
    date : when this text became valid, if known; kept in `Source.date`

    Raises PolicySyntaxError (not JSON, not an object, not UTF-8), PolicySemanticError (strict
    only), LimitError, and RequestError for an argument that makes no sense. Linear in the length of
    `text`.
    """
    source = Source(name, decode(text, name), date)
    json = parse_json(source)
    return read_policy(source, json, json.root, mode=mode, policy_type=policy_type)


def read_policy(
    source: Source, json: Json, root: JsonValue, *, mode: Mode, policy_type: PolicyType
) -> PolicyDocument:
    """The policy in `root`, which is `json.root` or a part of it."""
    if policy_type not in POLICY_TYPES:
        raise RequestError(
            f"there is no policy type {quoted(str(policy_type))}",
            field="policy_type",
            help=f"choose one of: {', '.join(POLICY_TYPES)}",
        )
    if mode not in MODES:
        raise RequestError(
            f"there is no mode {quoted(str(mode))}",
            field="mode",
            help=f"choose one of: {', '.join(MODES)}",
        )
    if not isinstance(root, JsonObject):
        raise PolicySyntaxError(
            [
                NOT_AN_OBJECT.at(
                    source,
                    root.span,
                    f"a policy must be a JSON object, not {described(root)}",
                    help="a policy starts with `{` and has a `Statement`",
                )
            ]
        )
    findings = Findings(source)
    for first, again in json.repeats:
        if root.start <= again.span.start < root.end:
            where = source.locate(first.span)
            findings.add(
                DUP_KEY,
                again.span,
                f"key {quoted(again.value)} occurs twice in one object",
                help=f"keep one; the first is at line {where.line}, column "
                f"{where.column}, and the last one counts",
            )
    document = read_document(source, root, policy_type, findings)
    if mode == "strict" and findings.has_errors:
        raise PolicySemanticError(findings.diagnostics(errors_first=True))
    return document


def decode(text: str | bytes, name: str) -> str:
    """`text` as characters, without a byte order mark, and within the size limit."""
    if not isinstance(text, str | bytes):
        raise RequestError(
            f"a policy is given as text, not as `{type(text).__name__}`",
            field="text",
            help="pass the JSON text; `json.dumps` makes it from a dict",
        )
    if isinstance(text, bytes):
        # A character has at most four bytes: what is longer need not even be decoded.
        if len(text) > 4 * MAX_CHARACTERS:
            raise too_long(name, len(text))
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(error, name) from None
    if len(text) > MAX_CHARACTERS:
        raise too_long(name, len(text))
    return text.removeprefix(_BOM)


def too_long(name: str, given: int) -> LimitError:
    """The error for a document that is longer than MAX_CHARACTERS."""
    return LimitError(
        f"`{name}` is longer than {MAX_CHARACTERS} characters",
        limit="MAX_CHARACTERS",
        allowed=MAX_CHARACTERS,
        given=given,
        help="no AWS policy is; check that this is the right file",
    )


def not_utf8(error: UnicodeDecodeError, name: str) -> PolicySyntaxError:
    """The error for bytes that are no UTF-8, pointing at the first one."""
    text = error.object
    readable = text.decode("utf-8", errors="replace")
    at = len(text[: error.start].decode("utf-8"))
    help = "save the file as UTF-8"
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        help = "the file looks like UTF-16; save it as UTF-8"
    return PolicySyntaxError(
        [
            NOT_UTF8.at(
                Source(name, readable),
                Span(at, at + 1),
                f"byte 0x{text[error.start]:02x} at offset {error.start} is not UTF-8",
                help=help,
            )
        ]
    )
