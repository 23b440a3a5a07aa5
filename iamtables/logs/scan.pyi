"""Where each field of a record lies; see scan.pyx."""

FIELDS: tuple[bytes, ...]
