"""Data files that ship with the package, and where they are.

`policies/` holds three AWS managed policies as their documentation page printed them: the two for
Amazon Bedrock, and AmazonBedrockFullAccess as it stood before its update of December 4th, 2024
(the page's change log; its four statements that are not about the Marketplace).
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

BEDROCK_FULL_ACCESS = "AmazonBedrockFullAccess"
BEDROCK_FULL_ACCESS_BEFORE = "AmazonBedrockFullAccess.before-2024-12-04"
BEDROCK_READ_ONLY = "AmazonBedrockReadOnly"


def policy_path(name: str) -> Path:
    """Path of a shipped policy document, by its name without `.json`."""
    with as_file(files(__name__) / "policies" / f"{name}.json") as path:
        return path


def policy_names() -> tuple[str, ...]:
    """Names of the shipped policy documents, sorted."""
    folder = files(__name__) / "policies"
    return tuple(
        sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()
               if entry.name.endswith(".json"))
    )
