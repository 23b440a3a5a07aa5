"""Optional dependencies: engines that are imported when they are used, and not before."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtraError


def engine(module: str, name: str) -> Any:
    """The module of an engine; the extra that brings it is called like the module.

    Raises MissingExtraError when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is there, and broken
            raise
        raise MissingExtraError(name, extra="spark" if module == "pyspark" else module) from None
