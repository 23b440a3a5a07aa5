"""Running the command in this process, as the `iamtables` script would."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iamtables.cli.main import main

POLICIES = Path(__file__).parent.parent / "iamtables" / "data" / "policies"
FULL_ACCESS = str(POLICIES / "AmazonBedrockFullAccess.json")
READ_ONLY = str(POLICIES / "AmazonBedrockReadOnly.json")
BEFORE = str(POLICIES / "AmazonBedrockFullAccess.before-2024-12-04.json")
ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/ana"


@dataclass(frozen=True)
class Finished:
    """Exit code and the two streams of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def _stream(data: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8")


def iamtables(*arguments: object, stdin: str | bytes = b"") -> Finished:
    """Run `iamtables ARGUMENTS` and catch what it prints."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    saved = sys.argv, sys.stdin, sys.stdout, sys.stderr
    out, err = _stream(), _stream()
    sys.argv = ["iamtables", *map(str, arguments)]
    sys.stdin, sys.stdout, sys.stderr = _stream(data), out, err
    try:
        main()
    except SystemExit as finished:
        code = finished.code
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = saved
    return Finished(int(code or 0), _text(out), _text(err))


def policy(directory: Path, *statements: dict[str, Any], name: str = "policy.json",
           version: str = "2012-10-17") -> str:
    """A policy file with these statements; its path."""
    path = directory / name
    path.write_text(json.dumps({"Version": version, "Statement": list(statements)}, indent=2))
    return str(path)


def allow(action: str | list[str] = "*", resource: str | list[str] = "*", **more: Any
          ) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action: str | list[str] = "*", resource: str | list[str] = "*", **more: Any
         ) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource} | more
