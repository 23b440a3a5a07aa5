"""What single slices of a record say; see slices.pyx."""

RESERVED: tuple[bytes, ...]
