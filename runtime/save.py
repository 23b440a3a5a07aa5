"""Writing the compiled file. Same tables, same bytes."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from ..errors import ArtefactError
from .artefact import content_hash
from .codes import FORMAT_NAME, FORMAT_VERSION
from .model import TableModel


def save_artefact(model: TableModel, path: str | os.PathLike[str]) -> None:
    """Write a table. The file appears under its name only when it is complete."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in model.arrays.items()}
    metadata = metadata_of(model)
    metadata["sha256"] = content_hash(arrays, metadata)
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=".iamtables-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in _canonical(save(arrays, metadata)):
                    file.write(part)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ArtefactError(
            f"cannot write `{target}`: {why}", path=str(target),
            help="choose a directory that exists and can be written",
        ) from None  # fmt: skip


def _canonical(container: bytes) -> tuple[bytes, bytes, memoryview]:
    """The container with its header in one order: the library writes the metadata in any."""
    size = int.from_bytes(container[:8], "little")
    header = json.dumps(json.loads(container[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    header += " " * (-len(header) % 8)
    return len(header).to_bytes(8, "little"), header.encode(), memoryview(container)[8 + size :]


def metadata_of(model: TableModel) -> dict[str, str]:
    """What a file says of itself, but for its hash."""
    return {
        "format": FORMAT_NAME,
        "format_version": str(FORMAT_VERSION),
        "options": json.dumps(model.options.to_mapping(), sort_keys=True),
        "frame": json.dumps(dict(model.frame), sort_keys=True),
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
