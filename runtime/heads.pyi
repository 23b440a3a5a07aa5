"""One pattern against one text, where few patterns are asked for and the text is not met again."""

from .globs import GlobSet

class PatternHeads:
    """Doorway. Not safe to share between threads, as its GlobSet is not."""

    def __init__(self, globs: GlobSet) -> None:
        """globs: whose patterns are asked for, and whose buffers are used."""

    def matches(self, pattern: int, text: bytes) -> bool:
        """Does the pattern match the whole of `text` (UTF-8)? `GlobSet.matches` says the same.

        Raises IndexError for a pattern that there is not.
        """
