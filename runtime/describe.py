"""What a table holds, in counts and sizes: for `iamtables inspect` and whoever looks inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .codes import FORMAT_NAME, FORMAT_VERSION, Role
from .values import encode_text

if TYPE_CHECKING:
    from .model import TableModel
    from .table import Table

_PARTS = {"action": "action automata", "resource": "resource automata"}


def describe(table: Table) -> dict[str, Any]:
    """Counts, sizes in bytes by part, sources, options, keys; and who carries the policies."""
    model = table.model
    sizes: dict[str, int] = {}
    for name, array in model.arrays.items():
        part = _PARTS.get(name.partition("/")[0], name.partition("_")[0])
        sizes[part] = sizes.get(part, 0) + array.nbytes
    return {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "sha256": table.sha256,
        "holds": _KINDS[model.frame["kind"]],
        **({"frame": _frame(model)} if table.is_layered else {}),
        "options": model.options.to_mapping(),
        "sources": [
            {"name": s.name, "date": s.date, "version": s.version, "sha256": s.sha256}
            for s in table.sources
        ],
        "keys": list(table.keys),
        "counts": {
            "statements": model.statement_count,
            "action_patterns": len(model["action/automaton"]),
            "resource_patterns": len(model["resource/automaton"]),
            "action_sets": len(model["action_set_negated"]),
            "resource_sets": len(model["resource_set_negated"]),
            "trie_nodes": len(model["action/first_child"]) + len(model["resource/first_child"]),
            **_automaton_counts(model),
            "predicates": len(model["predicate_key"]),
            **(_layer_counts(model) if table.is_layered else _list_counts(table)),
        },
        "bytes": dict(sorted(sizes.items())),
        "total_bytes": sum(sizes.values()),
    }


_KINDS = {
    "identity": "identity policies of everyone",
    "layers": "policies of several layers that meet every request",
    "organization": "an organization",
}


def _frame(model: TableModel) -> dict[str, Any]:
    """Who carries policies; of layers without an organization, which there are."""
    if model.frame["kind"] == "layers":
        roles = [Role(role).name.lower() for role in model["place_role"].tolist()]
        return {"layers": list(dict.fromkeys(roles)), "scp_levels": roles.count("scp")}
    missing = list(model.frame["missing_layers"])
    carried = np.stack((model["principal_identity"], model["principal_boundary"]), axis=1)
    return {
        "accounts": len(model["account_flags"]),
        "principals": len(carried),
        "principal_classes": len(np.unique(carried, axis=0)),
        "resource_policies": len(model["governed_class"]),
        "endpoints": len(model["endpoint_class"]),
        "missing_layers": missing,
        "missing_layers_are": "unknown" if model.frame["missing_unknown"] else "left out",
    }


def _layer_counts(model: TableModel) -> dict[str, int]:
    return {
        "principal_elements": len(model["principal_element_flags"]),
        "policy_sets": len(model["class_is_open"]),
        "policy_sets_with_gaps": int(np.count_nonzero(model["class_is_open"])),
    }


def _automaton_counts(model: TableModel) -> dict[str, int]:
    """Glob automata that verify what the tries leave open, and their states.

    A chain of pieces has a state per byte and one more; a bit-parallel automaton has as many
    states as its accepting bit says.
    """
    automata = states = 0
    for prefix in ("action/", "resource/"):
        pieces = model[prefix + "piece"]
        verified = int((model[prefix + "end_kind"] >= 2).sum())
        automata += verified
        widths = model[prefix + "word_count"].tolist()
        states += len(pieces) + verified - len(widths)
        starts = model[prefix + "mask_start"].tolist()
        mask = model[prefix + "mask"]
        for width, start in zip(widths, starts, strict=False):
            row = mask[start + 4 * width : start + 5 * width].tolist()
            states += sum(w << 64 * i for i, w in enumerate(row)).bit_length()
    return {"automata": automata, "automaton_states": states}


def _list_counts(table: Table) -> dict[str, int]:
    """Statement lists and cells over the actions that the policies name without wildcards."""
    named = [t for t in table.model.texts("action_text") if "*" not in t and "?" not in t]
    lists, cells = set(), set()
    for text in named:
        constant, statement, words = table.planner.cell(encode_text(text), 0)
        cells.add((constant, statement, words))
        if words is not None:
            lists.add(words)
    return {"principal_classes": len(table.model["class_start"]) - 1, "named_actions": len(named),
            "action_classes": len(cells), "statement_lists": len(lists)}  # fmt: skip
