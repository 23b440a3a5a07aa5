"""How far the wildcards of a resource pattern reach (RES-4), what a short ARN lacks (RES-7)."""

def settle_text(text: str, spans: bool) -> bytes:
    """A pattern without variables, encoded, with the reach of each wildcard decided.

    spans : whether a `*` that ends one of the first five segments may match across colons
    """

def settle_reach(pattern: bytes, spans: bool) -> bytes:
    """An encoded pattern, its wildcards any that match everything, with the reach of each decided.

    spans : as in `settle_text`
    """
