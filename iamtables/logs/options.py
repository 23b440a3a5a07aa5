"""What a reader may be told, and the limits it keeps on hostile input."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Options of `read_logs`. The byte limits guard memory; passing one fails that file only."""

    since: int | None = None
    """Unix seconds: records before this are left out."""
    until: int | None = None
    """Unix seconds: records from this time on are left out."""
    accounts: frozenset[str] = frozenset()
    """Receiving accounts to keep; empty keeps all."""
    services: frozenset[str] = frozenset()
    """Service prefixes to keep, `s3`; empty keeps all."""
    unlisted_actions: bool = False
    """Take `service:EventName` at its word when the catalogue does not list it."""
    cache: str | None = None
    """Directory of request columns that were read before, and to keep new ones in (`cache`)."""
    is_compiled: bool = True
    """Use the compiled extractor where it is built; the columns are the same without it."""
    threads: int = 2
    """With 2, documents are inflated and taken apart in a second thread while what came before is
    mapped and decided; other files are inflated there. More than 2 changes nothing."""
    endpoint: str | None = None
    """URL of an S3-compatible object store, for `s3://` addresses."""
    deduplicate: bool = True
    """Leave out a record whose eventID was already read for the same recipientAccountId."""
    corrections_first: bool = False
    """Look through all files for corrected records (with an `addendum`) before reading them, so
    that each replaces its original wherever that stands. Without it a correction replaces what has
    not been handed out yet, and is left out and counted when it comes too late."""
    learn_names: bool = True
    """Take the path of an IAM name from other records of the log that give the ARN (`names`), and
    the tags of a session from the call that began it (`sessions`)."""
    batch_records: int = 20_000
    """A batch is handed out when it has at least this many records."""
    max_document_bytes: int = 512 * _MIB
    """One JSON document (or one line), inflated. A delivery file is far below 100 MiB."""
    max_file_bytes: int = 64 * 1024 * _MIB
    """A whole file, inflated: newline-delimited JSON is read in pieces, so this may be large."""
    max_inflation: int = 300
    """Inflated bytes per byte of a file, from 64 MiB on. Logs inflate 7 to 40 times."""
    max_record_bytes: int = _MIB
    """One record; a longer one is left out and counted. CloudTrail cuts records at 256 KiB, or at
    1 MiB on request, so what is longer does not come from there as it is."""
    max_remembered_ids: int = 50_000_000
    """Event IDs kept to find duplicates, 8 bytes each; the oldest are forgotten first."""
    max_distinct: int = 300_000
    """Distinct calls or callers kept before a reader starts new dictionaries."""
