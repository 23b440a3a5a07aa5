"""Plant single faults in a copy of the code, one at a time, and see that the tests catch each.

    python tools/plant_faults.py                        # all of them; minutes
    python tools/plant_faults.py --list
    python tools/plant_faults.py --only star-leaves-its-segment --keep
    python tools/plant_faults.py --markdown docs/faults.md

The repository is copied to a temporary directory and never changed. A fault replaces one text that
must occur in its file as often as stated; a touched kernel is rebuilt alone. The tests of the copy
run against the copy, in rounds from fast to slow, and stop at the first failure. Exit code 1: a
fault survived (a test is missing), its text was not found, or the faulty code does not even build.

Not planted: faults that change no answer, such as a lost memory of earlier work.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("compiler", "grammar", "runtime")
"""Folders of the repository that are packages of `iamtables`."""

_NOT_COPIED = shutil.ignore_patterns(
    ".*", "build", "dist", "benchmarks", "__pycache__", "*.egg-info", "*.c", "*.html"
)

ROUNDS: tuple[tuple[str, ...], ...] = (
    (
        "tests/test_*_edges.py",
        "tests/test_bedrock_cases.py",
        "tests/test_vectors.py",
        "tests/test_grammar_patterns.py",
        "tests/test_cli_check.py",
        "tests/test_small_worlds.py",
        "tests/test_hostile_patterns.py",
    ),
    ("tests/test_differential.py", "--cases", "30000"),
    ("tests/test_unknowns.py", "tests/test_managed_policies.py"),
)
"""Arguments of pytest; a fault that one round lets pass meets the next."""

TIME_LIMIT = 900
"""Seconds a round may take; a fault that makes the tests hang is caught by that."""

AREAS = {
    "grammar/patterns.py": "patterns",
    "compiler/lower.py": "lowering",
    "compiler/passes.py": "passes",
    "compiler/trie.py": "tries",
    "compiler/automaton.py": "automata",
    "runtime/globs.pyx": "kernels: globs",
    "runtime/classify.pyx": "kernels: resources",
    "runtime/engine.pyx": "kernels: decisions",
    "runtime/column.pyx": "kernels: columns",
    "runtime/values.py": "columns",
    "runtime/session.py": "columns",
    "runtime/typed.py": "columns",
    "runtime/conditions.py": "predicates",
    "runtime/literals.py": "predicates",
    "runtime/plan.py": "plan",
    "runtime/resources.py": "resources",
}


@dataclass(frozen=True)
class Fault:
    """`old`, which occurs `count` times in the file, becomes `new` everywhere."""

    name: str
    path: str
    old: str
    new: str
    breaks: str
    count: int = 1

    @property
    def area(self) -> str:
        return AREAS[self.path]

    def planted(self, text: str) -> str:
        """The faulty text of the file. Raises ValueError when the fault no longer fits."""
        found = text.count(self.old)
        if found != self.count:
            raise ValueError(f"{self.path}: text found {found} times, not {self.count}")
        return text.replace(self.old, self.new)


FAULTS = (
    # --- patterns
    Fault(
        "variable-name-not-trimmed", "grammar/patterns.py",
        'name = content.strip(" ")', "name = content",
        "VAR-11: spaces around the name of a variable belong to it",
    ),
    Fault(
        "dollar-not-special", "grammar/patterns.py",
        '_SPECIAL = frozenset("*?$")', '_SPECIAL = frozenset("*?")',
        "VAR-3: `${$}` is an unknown key instead of a dollar",
    ),
    Fault(
        "default-keeps-its-quote", "grammar/patterns.py",
        "content[at + 3 : -1]", "content[at + 3 :]",
        "VAR-5: the default of a variable ends with the quote",
    ),
    # --- lowering
    Fault(
        "star-leaves-its-segment", "compiler/lower.py",
        "crosses = spans and ends_segment", "crosses = spans",
        "RES-4: a `*` in the middle of a segment crosses colons",
    ),
    Fault(
        "star-never-spans", "compiler/lower.py",
        "crosses = spans and ends_segment", "crosses = False",
        "RES-4: a `*` that ends a segment stays in it, in the default mode too",
    ),
    Fault(
        "sixth-field-question", "compiler/lower.py",
        "_ANY if segment >= 5 else _ANY_BUT_COLON", "_ANY if segment > 5 else _ANY_BUT_COLON",
        "RES-4: `>` for `>=`, a `?` of the sixth field matches no colon",
    ),
    Fault(
        "sixth-field-star", "compiler/lower.py",
        "if segment >= 5 or (", "if segment > 5 or (",
        "RES-4: `>` for `>=`, a `*` of the sixth field matches no colon",
    ),
    Fault(
        "short-arn-padding", "compiler/lower.py",
        "for missing in range(segment_count, 6)", "for missing in range(segment_count, 5)",
        "RES-7: a short ARN is padded with one segment too few",
    ),
    Fault(
        "action-pattern-case", "compiler/lower.py",
        "folded = fold_action(text.value)", "folded = text.value",
        "ACT-1: capital letters of a policy's action never match",
    ),
    Fault(
        "action-fold-unicode", "compiler/lower.py",
        "return text.translate(_ASCII_LOWER)", "return text.lower()",
        "ACT-1: other letters than ASCII fold too, in policies only",
    ),
    Fault(
        "resource-variables-in-2008", "compiler/lower.py",
        "tokens = parse_pattern(text, variables=document.has_variables)",
        "tokens = parse_pattern(text, variables=True)",
        "VAR-2: variables in resources of a document of 2008",
    ),
    Fault(
        "condition-variables-in-2008", "compiler/lower.py",
        "variables = document.has_variables and base in VARIABLE_BASES",
        "variables = base in VARIABLE_BASES",
        "VAR-2: variables in conditions of a document of 2008",
    ),
    Fault(
        "variables-in-numbers", "compiler/lower.py",
        "variables = document.has_variables and base in VARIABLE_BASES",
        "variables = document.has_variables",
        "VAR-1: variables in values of operators that know none",
    ),
    Fault(
        "versions-share-a-pattern", "compiler/lower.py",
        "at = (text, document.has_variables, document.policy_type)",
        "at = (text, True, document.policy_type)",
        "VAR-2: the first document decides what `${` means in the next",
    ),
    Fault(
        "void-action-counts", "compiler/lower.py",
        "ir.Entry(-1 if i in element.void else self._action_pattern(text), text.span)",
        "ir.Entry(self._action_pattern(text), text.span)",
        "ACT-3, ACT-4: an action pattern of no valid form matches",
    ),
    Fault(
        "void-resource-counts", "compiler/lower.py",
        "ir.Entry(-1 if i in element.void else self._resource_pattern(text.value, document),",
        "ir.Entry(self._resource_pattern(text.value, document),",
        "RES-8: a resource pattern that is no ARN matches",
    ),
    Fault(
        "faulty-statement-is-fine", "compiler/lower.py",
        "flags=self._fault_flags() if faulty else 0", "flags=0",
        "GRAM-0: a statement with a fault decides like any other",
    ),
    Fault(
        "wildcards-in-string-equals", "compiler/lower.py",
        'return [_STAR if globs else self._point("*")]', "return [_STAR]",
        "COND-30: a `*` of StringEquals is a wildcard",
    ),
    Fault(
        "variable-without-a-key", "compiler/lower.py",
        'self._key(token.name) if ":" in token.name else -1', "self._key(token.name)",
        "VAR-11: a name without a colon is looked up",
    ),
    Fault(
        "early-variables-option", "compiler/lower.py",
        "if segment < 5 and self.options", "if segment <= 5 and self.options",
        "VAR-10: the option takes variables of the sixth field away too",
    ),
    # --- passes
    Fault(
        "prefix-drops-itself", "compiler/passes.py",
        "text.startswith(stem) and heads.get(i) != stem", "text.startswith(stem)",
        "subsumption: an action `a*` makes itself superfluous",
    ),
    Fault(
        "resource-subsumption-by-part", "compiler/passes.py",
        "p.glyphs[: len(head)] == head", "p.glyphs[: len(head) - 1] == head[:-1]",
        "subsumption: the last character of a resource prefix is not compared",
    ),
    Fault(
        "spoiling-pattern-dropped", "compiler/passes.py",
        "if p.variables\n        or not any(", "if not any(",
        "VAR-6: a pattern whose null variable spoils NotResource is dropped as superfluous",
    ),
    Fault(
        "null-is-constant", "compiler/passes.py",
        '{"true", "false"} <= wanted', '{"true", "false"} >= wanted',
        "constants: `>=` for `<=`, every Null condition is true",
    ),
    Fault(
        "empty-list-if-exists", "compiler/passes.py",
        "if predicate.values or predicate.if_exists:", "if predicate.values:",
        "COND-8, COND-22: IfExists with an empty list is false for an absent key",
    ),
    Fault(
        "empty-list-for-any-negated", "compiler/passes.py",
        "return None if predicate.base in NEGATED_BASES else False", "return False",
        "COND-8, COND-25: ForAnyValue with a negated operator and an empty list is never true",
    ),
    Fault(
        "void-exclusion-is-dead", "compiler/passes.py",
        "return has_everything if pattern_set.negated else",
        "return has_everything or not pattern_set.pattern_ids if pattern_set.negated else",
        "GRAM-0: a NotResource of void entries makes its statement dead, a Deny is lost",
    ),
    # --- tries
    Fault(
        "split-edge-loses-a-byte", "compiler/trie.py",
        "child.label = child.label[shared:]", "child.label = child.label[shared + 1 :]",
        "a byte is lost where two heads part",
    ),
    Fault(
        "one-pattern-per-node", "compiler/trie.py",
        "node.ends.append(pattern)", "node.ends = [pattern]",
        "of patterns with the same head only the last is found",
    ),
    Fault(
        "mask-words-shifted", "compiler/trie.py",
        "(row >> 64 * w)", "(row >> 63 * w)",
        "the second word of a mask overlaps the first",
    ),
    Fault(
        "wrong-accepting-state", "compiler/trie.py",
        "accept = 1 << automaton.length", "accept = 1 << automaton.length >> 1",
        "an automaton accepts one token early",
    ),
    # --- automata
    Fault(
        "wildcards-not-canonical", "compiler/automaton.py",
        "for element in _canonical(rest):", "for element in rest:",
        "GLOB-4: `*?` is not turned into `?*`",
    ),
    Fault(
        "byte-in-a-piece", "compiler/automaton.py",
        'out += chr(point).encode("utf-8", "surrogatepass")', "out.append(point & 0xFF)",
        "GLOB-3: a byte for a code point in a piece",
    ),
    Fault(
        "question-ends-as-star", "compiler/automaton.py",
        "if len(rest) == 1 and rest[0][0] is Token.STAR:",
        "if len(rest) == 1 and rest[0][0] in (Token.STAR, Token.ANY):",
        "GLOB-1: a `?` at the end matches any run",
    ),
    Fault(
        "free-star-stops-at-colon", "compiler/automaton.py",
        "            loop_colon |= 1 << state\n", "            loop_colon |= 0\n",
        "RES-4: beside bound wildcards a free `*` is bound too",
    ),
    Fault(
        "bound-star-loops-on-colon", "compiler/automaton.py",
        "elif token is Token.STAR_BUT_COLON:\n            loop |= 1 << state",
        "elif token is Token.STAR_BUT_COLON:\n            loop |= 1 << state\n"
        "            loop_colon |= 1 << state",
        "RES-4: a bound `*` crosses colons",
    ),
    Fault(
        "bound-question-takes-colon", "compiler/automaton.py",
        "if token is Token.ANY:\n                    wild_colon",
        "if True:\n                    wild_colon",
        "RES-4: a bound `?` matches a colon",
    ),
    Fault(
        "symbols-not-sorted", "compiler/automaton.py",
        "dict(sorted(symbols.items()))", "symbols",
        "the symbols of an automaton are searched but not sorted",
    ),
    # --- kernels: globs
    Fault(
        "question-takes-a-byte", "runtime/globs.pyx",
        "if text[at] >= 0x80:", "if text[at] >= 0xE0:",
        "GLOB-3: a byte for a code point, in two-byte characters",
    ),
    Fault(
        "pieces-overlap", "runtime/globs.pyx",
        "if at <= floor:", "if at < floor:",
        "`<` for `<=`: the last piece may overlap the text before it",
    ),
    Fault(
        "failed-piece-accepted", "runtime/globs.pyx",
        "if end <= limit:", "if end <= length:",
        "a middle piece that does not match counts as found",
    ),
    Fault(
        "symbol-search", "runtime/globs.pyx",
        "if symbols[middle] < point:", "if symbols[middle] <= point:",
        "`<=` for `<`: the search steps over the symbol",
    ),
    Fault(
        "carry-lost", "runtime/globs.pyx",
        "            carry = next_carry\n", "            carry = 0\n",
        "no state passes from one word of an automaton to the next",
    ),
    Fault(
        "decoded-bits-lost", "runtime/globs.pyx",
        "return (lead & 0x0F) << 12", "return (lead & 0x07) << 12",
        "GLOB-3: code points from U+8000 are decoded wrongly",
    ),
    Fault(
        "kernel-star-ignores-colon", "runtime/globs.pyx",
        "loop = rows + ROW_LOOP_COLON * words", "loop = rows + ROW_LOOP * words",
        "RES-4: the kernel takes the wrong row, a bound `*` crosses colons",
    ),
    Fault(
        "exact-is-prefix", "runtime/globs.pyx",
        "if at != length:", "if at > length:",
        "GLOB-2: a pattern without wildcards matches every longer text",
    ),
    Fault(
        "token-star-ignores-colon", "runtime/globs.pyx",
        "if kind == TOKEN_STAR_BUT_COLON and chars[i] == COLON:", "if False:",
        "COND-61: in values with variables or ARNs a bound `*` crosses colons",
    ),
    Fault(
        "token-question-ignores-colon", "runtime/globs.pyx",
        "else kind == TOKEN_ANY or chars[i] != COLON)", "else True)",
        "COND-61: in values with variables or ARNs a bound `?` matches a colon",
    ),
    Fault(
        "token-may-stay", "runtime/globs.pyx",
        "            reach[0] = 0\n", "            reach[0] = before\n",
        "GLOB-2: the first tokens may match nothing",
    ),
    # --- kernels: decisions
    Fault(
        "second-deny-lost", "runtime/engine.pyx",
        "            if state == YES:\n                statement[0] = <int32_t>entry[0]\n"
        "                return EXPLICIT_DENY",
        "            if state == YES and e == 0:\n"
        "                statement[0] = <int32_t>entry[0]\n                return EXPLICIT_DENY",
        "a lost Deny: only the first of a list counts",
    ),
    Fault(
        "possible-deny-denies", "runtime/engine.pyx",
        "            if state == YES:\n                statement[0] = <int32_t>entry[0]\n"
        "                return EXPLICIT_DENY",
        "            if state != NO:\n                statement[0] = <int32_t>entry[0]\n"
        "                return EXPLICIT_DENY",
        "must for may: a Deny that may match is a denial",
    ),
    Fault(
        "possible-deny-ignored", "runtime/engine.pyx",
        "            if deny_may < 0:\n", "            if True:\n",
        "a lost Deny: one that may match leaves the Allow certain",
    ),
    Fault(
        "possible-allow-allows", "runtime/engine.pyx",
        "            if state == YES:\n                allow_must",
        "            if state != NO:\n                allow_must",
        "must for may: an Allow that may match allows",
    ),
    Fault(
        "unknown-flag-ignored", "runtime/engine.pyx",
        "UNKNOWN if entry[2] & ENTRY_UNKNOWN else YES", "YES",
        "must for may: a statement nobody can read matches surely",
    ),
    Fault(
        "unreadable-resource-matches", "runtime/engine.pyx",
        "if s == SET_UNREADABLE:\n            state = UNKNOWN",
        "if s == SET_UNREADABLE:\n            return NO",
        "a resource element nobody can read matches nothing",
    ),
    Fault(
        "negated-set-ignored", "runtime/classify.pyx",
        "            if state != CELL_YES:\n", "            if True:\n",
        "RES-9: NotResource excludes nothing",
    ),
    Fault(
        "verify-is-yes", "runtime/engine.pyx",
        "if item == CELL_VERIFY:", "if item > CELL_VERIFY:",
        "VAR-9: a pattern with a variable matches whatever its value is",
    ),
    Fault(
        "possible-resource-matches", "runtime/engine.pyx",
        "                if part == UNKNOWN:\n                    state = UNKNOWN",
        "                if part == UNKNOWN:\n                    pass",
        "must for may: a resource that hangs on an unknown variable matches",
    ),
    Fault(
        "unknown-resource-matches", "runtime/engine.pyx",
        "            elif item == CELL_UNKNOWN:\n                state = UNKNOWN",
        "            elif item == CELL_UNKNOWN:\n                pass",
        "must for may: an unknown resource matches every pattern",
    ),
    Fault(
        "possible-condition-holds", "runtime/engine.pyx",
        "            if part == UNKNOWN:\n                state = UNKNOWN\n        return state",
        "            if part == UNKNOWN:\n                pass\n        return state",
        "must for may: a condition on an unknown key holds",
    ),
    Fault(
        "one-condition-counts", "runtime/engine.pyx",
        "part = self._test(entry[3 + t], keys, i)", "part = self._test(entry[3], keys, i)",
        "COND-2: of several conditions only the first is looked at",
    ),
    Fault(
        "truth-slots-mixed", "runtime/engine.pyx",
        "state = self.truth[key].bytes[value * self.truth[key].slots + self.test_slot[test]]",
        "state = self.truth[key].bytes[value * self.truth[key].slots]",
        "a condition gets the answer of another one on the same key",
    ),
    Fault(
        "memo-of-one-column", "runtime/engine.pyx",
        "n * sizeof(uint32_t))\n        if memo == NO_ID:",
        "sizeof(uint32_t))\n        if memo == NO_ID:",
        "what a variable gave for one value is given for every value",
    ),
    Fault(
        "four-colons-are-enough", "runtime/classify.pyx",
        "if colons == 5:", "if colons == 4:",
        "RES-12: an ARN with four colons is a resource",
    ),
    Fault(
        "constant-rows-unchecked", "runtime/engine.pyx",
        "                    if not valid:\n", "                    if valid < -1:\n",
        "RES-12: where the action decides alone, a broken resource is not noticed",
    ),
    Fault(
        "dictionary-unchecked", "runtime/classify.pyx",
        "and not is_resource(text, length)):\n                return RESOURCES_MIXED",
        "and not is_resource(text, length)):\n                return RESOURCES_VALID",
        "RES-12: a broken resource in a dictionary is not noticed",
    ),
    Fault(
        "long-rows-unsorted", "runtime/classify.pyx",
        "words[child + 1] > words[child]", "words[child + 1] < words[child]",
        "a resource that matches more than 32 sets loses some",
    ),
    Fault(
        "stale-truth", "runtime/engine.pyx",
        "                memset(self.truth[k].bytes, UNSEEN, "
        "self.truth[k].rows * self.truth[k].slots)",
        "                pass",
        "when caches are dropped, new values get the answers of old ones",
    ),
    Fault(
        "stale-lists", "runtime/engine.pyx",
        "        self.lists.clear()\n", "",
        "when caches are dropped, statement lists are looked for where they no longer are",
    ),
    # --- kernels: columns
    Fault(
        "empty-text-is-null", "runtime/column.pyx",
        "    text[0] = s.data + begin\n",
        "    if begin == end:\n        return TEXT_NULL\n    text[0] = s.data + begin\n",
        "COND-12: an empty string reads as an absent key",
    ),
    Fault(
        "sliced-validity", "runtime/column.pyx",
        "bit_is_set(s.validity, s.validity_offset + row)", "bit_is_set(s.validity, row)",
        "the nulls of a sliced Arrow column are those of other rows",
    ),
    Fault(
        "unknown-code-is-absent", "runtime/column.pyx",
        "UNKNOWN_ID if code == -2 else NO_ID", "ABSENT_ID if code == -2 else NO_ID",
        "CTX-4: an unknown value of a dictionary column reads as absent",
    ),
    Fault(
        "null-list-is-empty", "runtime/column.pyx",
        "    if c.validity != NULL and not bit_is_set(c.validity, c.validity_offset + row):\n"
        "        return ABSENT_ID\n    return intern_list",
        "    return intern_list",
        "COND-24: a null in a column of lists reads as an empty list",
    ),
    Fault(
        "list-elements-run-together", "runtime/column.pyx",
        "size = <uint32_t>length\n", "size = <uint32_t>(length & 0xFF)\n",
        "a list with a long element is cut up anew",
    ),
    # --- columns
    Fault(
        "boolean-spelling", "runtime/values.py",
        'return "true" if value else "false"', "return str(value)",
        "GRAM-5: a boolean of the context becomes `True`",
    ),
    Fault(
        "scalar-of-a-multivalued-key", "runtime/values.py",
        "return (text,) if kind == KeyKind.MULTI else text", "return text",
        "COND-11: a string for a multivalued key stays a scalar",
    ),
    Fault(
        "spelling-of-a-key", "runtime/session.py",
        "if key.name in context else (", "if not folded else (",
        "COND-5: of two spellings of a key the first counts, not the policy's",
    ),
    Fault(
        "unknown-number-holds", "runtime/session.py",
        "array[mask != 0] = 2", "array[mask != 0] = 1",
        "must for may: a condition on an unknown number holds",
    ),
    Fault(
        "number-truncated", "runtime/typed.py",
        "floor = operand.numerator // operand.denominator",
        "floor = int(operand.numerator / operand.denominator)",
        "COND-36: a negative fraction is rounded towards zero",
    ),
    Fault(
        "fraction-below", "runtime/typed.py",
        'if name == "LessThan":\n        return _clipped(values, floor - 1 if is_whole else floor',
        'if name == "LessThan":\n        return _clipped(values, floor - 1',
        "COND-35: 9 is not less than 9.5 in a column of integers",
    ),
    Fault(
        "huge-negative-bound", "runtime/typed.py",
        'inside = how == "le" and bound > 0', 'inside = how == "le"',
        "COND-36: every integer is at most a bound below the smallest",
    ),
    Fault(
        "absent-number", "runtime/typed.py",
        "int(State.YES if absent is State.YES else State.NO)", "int(State.NO)",
        "COND-21: NumericNotEquals on a null of an integer column is false",
    ),
    Fault(
        "seconds-for-units", "runtime/typed.py",
        "return whole * (scale or 1)", "return whole",
        "COND-42: a date is compared in seconds with a column of microseconds",
    ),
    # --- predicates
    Fault(
        "negated-type-error", "runtime/conditions.py",
        "if request is None:\n                return False",
        "if request is None:\n                return negated",
        "COND-27: a negated operator holds on text that is not of its type",
    ),
    Fault(
        "negated-policy-error", "runtime/conditions.py",
        "matched = any(test(request, p) for p in operands)\n"
        "            return (not matched and not has_error) if negated else matched",
        "matched = any(test(request, p) for p in operands)\n"
        "            return not matched if negated else matched",
        "COND-27: a negated operator ignores a policy value that is not of its type",
    ),
    Fault(
        "all-values-of-nothing", "runtime/conditions.py",
        "return self._is_null(value) or all(", "return not self._is_null(value) and all(",
        "COND-23: ForAllValues is false on a null data set",
    ),
    Fault(
        "any-value-of-nothing", "runtime/conditions.py",
        "return not self._is_null(value) and any(", "return any(",
        "COND-12, COND-24: ForAnyValue looks into a null data set",
    ),
    Fault(
        "any-value-if-exists", "runtime/conditions.py",
        "if value is None and self.if_exists:", "if self._is_null(value) and self.if_exists:",
        "COND-24: ForAnyValue IfExists holds for an empty list",
    ),
    Fault(
        "absent-negated", "runtime/conditions.py",
        "return self.if_exists or self.negated  # COND-20", "return self.if_exists  # COND-20",
        "COND-21: a negated operator is false on an absent key, a Deny is lost",
    ),
    Fault(
        "if-exists-ignored", "runtime/conditions.py",
        "return self.if_exists or self.negated  # COND-20", "return self.negated  # COND-20",
        "COND-22: IfExists is false on an absent key",
    ),
    Fault(
        "plain-on-a-list", "runtime/conditions.py",
        "return self._plain_any and any(", "return any(",
        "COND-26: a plain operator matches a multivalued key",
    ),
    Fault(
        "list-of-an-empty-text", "runtime/conditions.py",
        'value == "" or value == ("",)', 'value == ""',
        "COND-12: a list whose only value is empty is not null",
    ),
    Fault(
        "less-for-at-most", "runtime/conditions.py",
        '"LessThanEquals": lambda r, p: not _less(p, r)', '"LessThanEquals": _less',
        "COND-35: `<` for `<=`",
    ),
    Fault(
        "greater-swapped", "runtime/conditions.py",
        '"GreaterThan": lambda r, p: _less(p, r)', '"GreaterThan": lambda r, p: not _less(r, p)',
        "COND-35: `>=` for `>`",
    ),
    Fault(
        "arn-sixth-component", "runtime/conditions.py",
        "elif colons < 5:", "elif colons <= 5:",
        "COND-61: wildcards of the sixth component stop at colons",
    ),
    Fault(
        "short-arn-under-negation", "runtime/conditions.py",
        'text.count(":") < 5', 'text.count(":") < 4',
        "COND-63: a request value of five components is an ARN",
    ),
    Fault(
        "null-variable-is-empty", "runtime/conditions.py",
        "return None if is_null else out", "return out",
        "VAR-6: a variable without a value is empty text",
    ),
    Fault(
        "empty-value-of-a-variable", "runtime/conditions.py",
        'if isinstance(value, str) and value != "":', "if isinstance(value, str):",
        "VAR-7: an empty value is substituted",
    ),
    Fault(
        "address-families", "runtime/conditions.py",
        "r[0] == p.family and r[1] & p.mask == p.bits", "r[1] & p.mask == p.bits",
        "COND-57: an IPv4 address lies in an IPv6 range",
    ),
    Fault(
        "cidr-mask", "runtime/literals.py",
        "mask = ((1 << length) - 1) << (width - length)", "mask = (1 << length) - 1",
        "COND-56: the low bits of an address are its network",
    ),
    Fault(
        "longest-prefix", "runtime/literals.py",
        "int(prefix) > width", "int(prefix) >= width",
        "COND-55: `>=` for `>`, `/32` is no prefix",
    ),
    Fault(
        "exponent-sign", "runtime/literals.py",
        '+ _integer(exponent or "0")', '- _integer(exponent or "0")',
        "COND-36: `1e1` is a tenth",
    ),
    Fault(
        "negative-digits", "runtime/literals.py",
        'digits.translate(_COMPLEMENT) + ":"', "digits.translate(_COMPLEMENT)",
        "COND-36: -1.55 is not less than -1.5",
    ),
    Fault(
        "fraction-lost", "runtime/literals.py",
        'return Instant(seconds, (fraction or "").rstrip("0"))', 'return Instant(seconds, "")',
        "COND-43: the fraction of a second is ignored",
    ),
    Fault(
        "fraction-spelling", "runtime/literals.py",
        '(fraction or "").rstrip("0")', '(fraction or "")',
        "COND-43: half a second and fifty hundredths differ",
    ),
    Fault(
        "time-zone-sign", "runtime/literals.py",
        '(60 if sign == "+" else -60)', '(-60 if sign == "+" else 60)',
        "COND-43: time zones are added instead of subtracted",
    ),
    Fault(
        "leap-second", "runtime/literals.py",
        "s > 59:", "s > 60:",
        "COND-44: a leap second is an instant",
    ),
    Fault(
        "bool-case", "runtime/literals.py",
        "lowered = text.lower()", "lowered = text",
        "COND-45: `True` is no boolean",
    ),
    Fault(
        "stray-bits", "runtime/literals.py",
        "return data if base64.b64encode(data).decode() == text else None", "return data",
        "COND-50: base64 with stray bits is equal to base64 without",
    ),
    # --- plan
    Fault(
        "possible-absorbs-certain", "runtime/plan.py",
        "for is_unknown in {False, entry.is_unknown}:",
        "for is_unknown in {True, entry.is_unknown}:",
        "absorption in the wrong direction: a certain entry gives way to a possible one",
    ),
    Fault(
        "one-set-absorbs-another", "runtime/plan.py",
        "for set_id in {SET_ANY, entry.set_id}:",
        "for set_id in {SET_ANY, entry.set_id, entry.set_id - 1}:",
        "absorption by an entry on other resources",
    ),
    Fault(
        "unknown-flag-lost", "runtime/plan.py",
        "flags = ENTRY_UNKNOWN if entry.is_unknown else 0", "flags = 0",
        "must for may: the list forgets that a statement cannot be read",
    ),
    Fault(
        "deny-without-allow-dropped", "runtime/plan.py",
        "    if not denies:\n        if not allows:\n"
        "            return int(DecisionCode.IMPLICIT_DENY), -1, None\n",
        "    if not allows:\n"
        "        return int(DecisionCode.IMPLICIT_DENY), -1, None\n    if not denies:\n",
        "a lost Deny: without an Allow an explicit denial reads as an implicit one",
    ),
    Fault(
        "possible-allow-is-constant", "runtime/plan.py",
        "for entry in allows:\n            if entry[1:] == (SET_ANY, False, ()):",
        "for entry in allows:\n            if entry.set_id == SET_ANY and not entry.tests:",
        "must for may: an Allow nobody can read allows its action outright",
    ),
    Fault(
        "not-action-ignored", "runtime/plan.py",
        "        hit[:-1] ^= negated != 0\n", "",
        "ACT-5: NotAction is read as Action",
    ),
    Fault(
        "unreadable-action-matches-nothing", "runtime/plan.py",
        "hit[-1] = True", "hit[-1] = False",
        "a lost Deny: a statement whose action cannot be read is ignored",
    ),
    Fault(
        "unreadable-effect", "runtime/plan.py",
        "if effect != Effect.ALLOW:", "if effect == Effect.DENY:",
        "a lost Deny: a statement whose effect cannot be read never denies",
    ),
    Fault(
        "two-colons-in-an-action", "runtime/plan.py",
        'service and colon and name and ":" not in name and', "service and colon and name and",
        "ACT-8: an action of three parts is decided",
    ),
    Fault(
        "spoilt-exclusion", "runtime/plan.py",
        "default[s] = CELL_VERIFY", "default[s] = CELL_YES",
        "VAR-6: the option null_notresource is ignored where no pattern is hit",
    ),
    # --- resources
    Fault(
        "unknown-beats-yes", "runtime/resources.py",
        "elif one is State.YES or (one is State.UNKNOWN and state is State.NO):",
        "elif one is not State.NO:",
        "may for must: an unknown variable beside a pattern that surely matches",
    ),
    Fault(
        "unknown-exclusion", "runtime/resources.py",
        "State.UNKNOWN: State.UNKNOWN}", "State.UNKNOWN: State.YES}",
        "must for may: NotResource with an unknown variable surely matches",
    ),
    Fault(
        "unknown-resource-is-none", "runtime/resources.py",
        "return State.UNKNOWN if constant is None else constant",
        "return State.NO if constant is None else constant",
        "a lost Deny: an unknown resource matches no pattern",
    ),
)


# --- planting one fault


@dataclass(frozen=True)
class Result:
    """`caught_by` is the first failing test; empty unless the fault was caught."""

    fault: Fault
    caught_by: str = ""
    trouble: str = ""
    seconds: float = 0.0


class Copy:
    """A copy of the repository in a directory of its own, with its kernels built."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "code"
        shutil.copytree(ROOT, self.root, ignore=_NOT_COPIED, dirs_exist_ok=True)
        for stale in (self.root / "runtime").glob("*.so"):
            stale.unlink()
        self._link_packages()
        self.build(sorted((self.root / "runtime").glob("*.pyx")))

    def _link_packages(self) -> None:
        """A folder for PYTHONPATH, which comes before any installed package of the same name."""
        package = self.place / "path" / "iamtables"
        package.mkdir(parents=True)
        for entry in (self.root / "iamtables").iterdir():
            (package / entry.name).symlink_to(entry)
        for folder in FOLDERS:
            (package / folder).symlink_to(self.root / folder)

    def build(self, sources: Sequence[Path]) -> None:
        """Compile these kernels, and nothing else, into the copy."""
        bench = self.place / "bench"
        shutil.rmtree(bench, ignore_errors=True)
        (bench / "runtime").mkdir(parents=True)
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
            if (self.root / name).exists():
                shutil.copy(self.root / name, bench)
        for source in (*sources, *(self.root / "runtime").glob("*.pxd")):
            shutil.copy(source, bench / "runtime")
        subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "out"],
            cwd=bench, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        for built in (bench / "out" / "iamtables" / "runtime").iterdir():
            shutil.copy(built, self.root / "runtime")

    def plant(self, fault: Fault) -> None:
        path = self.root / fault.path
        faulty = fault.planted(path.read_text("utf-8"))
        shutil.copy(path, self.place / path.name)
        path.write_text(faulty, "utf-8")
        if path.suffix == ".pyx":
            self._set_aside(path)
            self.build([path])

    def restore(self, fault: Fault) -> None:
        path = self.root / fault.path
        shutil.move(self.place / path.name, path)
        for kept in self.place.glob("*.so"):
            shutil.move(kept, self.root / "runtime" / kept.name)

    def _set_aside(self, source: Path) -> None:
        for built in source.parent.glob(f"{source.stem}.*.so"):
            shutil.move(built, self.place / built.name)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(self.place / "path"),
            "PYTHONSAFEPATH": "1",  # the working directory has a folder `iamtables` as well
            "PYTHONDONTWRITEBYTECODE": "1",
            "IAMTABLES_SHARED": os.environ.get("IAMTABLES_SHARED") or str(ROOT.parent / "shared"),
        }

    def run_tests(self, arguments: Sequence[str]) -> tuple[int | None, str]:
        """Exit code of pytest (None when it ran out of time) and what it wrote."""
        expanded: list[str] = []
        for argument in arguments:
            found = sorted(str(p.relative_to(self.root)) for p in self.root.glob(argument))
            expanded += found if "*" in argument else [argument]
        flags = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *flags, *expanded]
        process = subprocess.Popen(
            command, cwd=self.root, env=self._environment(), text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output
        return process.returncode, output

    def imports_itself(self) -> bool:
        """Whether tests of the copy see the code of the copy."""
        script = "from iamtables.runtime import engine, plan; print(engine.__file__, plan.__file__)"
        out = subprocess.run(
            [sys.executable, "-c", script], cwd=self.root, env=self._environment(),
            text=True, capture_output=True, check=True,
        ).stdout.split()  # fmt: skip
        return all(str(self.place) in path for path in out)


def failing_test(output: str) -> str:
    """File and name of the first test that failed, or in which the interpreter died."""
    match = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", output, re.MULTILINE)
    if match:
        return match[1]
    crash = re.findall(r'File ".*?/(tests/\w+\.py)", line \d+ in (test_\w+)', output)
    return f"{crash[0][0]}::{crash[0][1]} (crash)" if crash else ""


def judge(copy: Copy, fault: Fault) -> Result:
    """Plant, test, restore."""
    started = time.monotonic()

    def result(caught_by: str = "", trouble: str = "") -> Result:
        return Result(fault, caught_by, trouble, time.monotonic() - started)

    try:
        copy.plant(fault)
    except ValueError as error:
        return result(trouble=str(error))  # nothing was planted
    except subprocess.CalledProcessError as error:
        copy.restore(fault)
        return result(trouble=f"does not build: {error.stdout.decode(errors='replace')[-2000:]}")
    try:
        for arguments in ROUNDS:
            code, output = copy.run_tests(arguments)
            if code == 0:
                continue
            if code is None:
                return result("the time limit")
            if code == 1 or code < 0:
                return result(failing_test(output) or f"exit code {code}")
            return result(trouble=f"pytest ended with {code}: {output[-2000:]}")
    finally:
        copy.restore(fault)
    return result(trouble="survived")


# --- the command


def chosen_faults(only: Sequence[str]) -> list[Fault]:
    unknown = set(only) - {fault.name for fault in FAULTS}
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))} (see --list)")
    return [fault for fault in FAULTS if not only or fault.name in only]


def run_all(faults: Sequence[Fault], place: Path, jobs: int) -> list[Result]:
    """Judge every fault, `jobs` at a time; results in the order of the faults."""
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(jobs):
        copies.put(Copy(place / str(number)))
    copy = copies.get()
    if not copy.imports_itself():
        raise SystemExit("the tests would not see the copy: is PYTHONPATH ignored?")
    code, output = copy.run_tests(ROUNDS[0])
    copies.put(copy)
    if code != 0:
        raise SystemExit(f"without any fault the first round of tests fails:\n{output[-4000:]}")
    print("without a fault the first round passes", flush=True)

    def one(fault: Fault) -> Result:
        mine = copies.get()
        try:
            result = judge(mine, fault)
        finally:
            copies.put(mine)
        verdict = f"caught by {result.caught_by}" if result.caught_by else result.trouble.upper()
        print(f"{fault.name:<34} {result.seconds:5.0f} s  {verdict}", flush=True)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, faults))


def markdown(results: Sequence[Result]) -> str:
    lines = [
        "# Planted faults",
        "",
        "Generated by `python tools/plant_faults.py --markdown docs/faults.md`: each fault was put "
        "into a",
        "copy of the code alone, and the test named was the first to fail. The changes themselves "
        "are in the",
        "script.",
    ]
    area = ""
    for result in results:
        fault = result.fault
        if fault.area != area:
            area = fault.area
            lines += ["", f"## {area.capitalize()}", ""]
            lines += ["| fault | file | what it breaks | caught by |", "|---|---|---|---|"]
        breaks = fault.breaks.replace("|", "\\|")
        caught = f"`{result.caught_by}`" if result.caught_by else f"**{result.trouble}**"
        lines.append(f"| `{fault.name}` | `{fault.path}` | {breaks} | {caught} |")
    caught_count = sum(bool(result.caught_by) for result in results)
    lines += ["", f"{caught_count} of {len(results)} caught.", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="this fault (may be repeated)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    parser.add_argument("--keep", action="store_true", help="keep the copies, and say where")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the list there")
    options = parser.parse_args()
    faults = chosen_faults(options.only)
    if options.list:
        for fault in faults:
            print(f"{fault.name:<34} {fault.path:<22} {fault.breaks}")
        return 0
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        results = run_all(faults, place, max(1, options.jobs))
    finally:
        if options.keep:
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    missed = [result for result in results if not result.caught_by]
    print(f"{len(results) - len(missed)} of {len(results)} faults caught")
    if options.markdown:
        options.markdown.write_text(markdown(results), "utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
