"""The compiled file: what is written comes back, and what was not written by us is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import artefact_fuzz
import numpy as np
import pytest
from generator import make_world
from judging import check, columns, compile_texts
from safetensors.numpy import load, save

import iamtables
from iamtables.runtime import artefact, schema
from iamtables.runtime.codes import BASE_CODE, FORMAT_VERSION, NO_ID, Token
from iamtables.runtime.save import metadata_of

_FUZZ = Path(__file__).with_name("artefact_fuzz.py")
_MUTATIONS = int(os.environ.get("IAMTABLES_FUZZ", "4000"))

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def table() -> iamtables.Table:
    """Every kind of pattern, predicate and value, and a statement that cannot be read."""
    return artefact_fuzz.base(0).table


@pytest.fixture
def saved(table: iamtables.Table, tmp_path: Path) -> Path:
    path = tmp_path / "t.iamt"
    table.save(path)
    return path


def write(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """A file whose hash fits whatever it holds."""
    fitting = {**metadata, "sha256": artefact.content_hash(arrays, metadata)}
    path.write_bytes(save(arrays, fitting))


def refusal(path: Path, **options: bool) -> iamtables.ArtefactError:
    with pytest.raises(iamtables.ArtefactError) as caught:
        iamtables.open_table(path, **options)
    assert caught.value.path == str(path)
    assert caught.value.help
    return caught.value


# --- what is written comes back -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_reopened_table_decides_as_the_compiled_one(seed: int, tmp_path: Path) -> None:
    world = make_world(seed)
    compiled = compile_texts(world.texts(), world.options)
    compiled.save(tmp_path / "t.iamt")
    for verify in (True, False):
        opened = iamtables.open_table(tmp_path / "t.iamt", verify=verify)
        for request in world.requests:
            before, after = (_answer(t, request) for t in (compiled, opened))
            assert after == before
        asked = columns(world.requests, world.keys)
        one, other = (t.decide(**asked) for t in (compiled, opened))
        assert one.decision.tobytes() == other.decision.tobytes()
        assert one.statement.tobytes() == other.statement.tobytes()
        assert one.error.tobytes() == other.error.tobytes()


def _answer(table: iamtables.Table, request: Any) -> tuple[Any, ...]:
    try:
        decision = check(table, request)
    except iamtables.IamtablesError as error:
        return (type(error), str(error))
    return decision.decision, decision.statement, decision.reason, str(decision.explain())


def test_a_reopened_table_describes_itself_as_the_compiled_one(
    table: iamtables.Table, saved: Path
) -> None:
    opened = iamtables.open_table(saved)
    assert opened.describe() == table.describe()
    assert opened.keys == table.keys
    assert opened.sources == table.sources
    assert list(opened.statements) == list(table.statements)
    assert opened.sha256 == table.sha256


def test_a_reopened_table_saves_to_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.iamt"
    iamtables.open_table(saved, verify=False).save(again)
    assert again.read_bytes() == saved.read_bytes()


_SAVE_WORLDS = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from generator import make_world
from judging import compile_texts
for seed in range(6):
    world = make_world(seed)
    table = compile_texts(world.texts(), world.options)
    table.save(sys.argv[2])
    print(table.sha256, hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest())
"""


def test_the_same_input_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    seen = set()
    for hash_seed in ("0", "1", "12345"):
        done = subprocess.run(
            [sys.executable, "-c", _SAVE_WORLDS, str(_FUZZ.parent), str(tmp_path / "t.iamt")],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        seen.add(done.stdout)
    assert len(seen) == 1


def test_a_table_maps_the_file_and_copies_none_of_it(saved: Path) -> None:
    model = iamtables.open_table(saved).model
    for name, array in model.arrays.items():
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        assert isinstance(owner, np.memmap), name
        assert not array.flags.writeable, name


def test_other_tools_can_read_the_container(table: iamtables.Table, saved: Path) -> None:
    arrays = load(saved.read_bytes())
    assert arrays.keys() == schema.RULES.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, table.model[name]), name


# --- what is damaged is refused -----------------------------------------------------------------


def test_every_truncation_is_refused(saved: Path) -> None:
    data = saved.read_bytes()
    lengths = {*range(0, 64), *range(0, len(data), 61), len(data) - 8, len(data) - 1}
    for length in sorted(lengths):
        saved.write_bytes(data[:length])
        for verify in (True, False):
            refusal(saved, verify=verify)


def test_a_longer_file_is_refused(saved: Path) -> None:
    data = saved.read_bytes()
    for tail in (b"\0", b" " * 8, data):
        saved.write_bytes(data + tail)
        for verify in (True, False):
            refusal(saved, verify=verify)


def test_every_altered_byte_is_noticed(saved: Path) -> None:
    data = saved.read_bytes()
    rng = Random(7)
    offsets = {*range(16), *rng.sample(range(len(data)), 1500), len(data) - 1}
    for at in sorted(offsets):
        altered = bytearray(data)
        altered[at] ^= rng.choice((1, 2, 0x20, 0x80, 0xFF))
        saved.write_bytes(altered)
        refusal(saved)


def test_a_hash_that_does_not_fit_is_named(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    error = refusal(saved)
    assert error.part == "sha256"
    assert "hash" in error.message


_FOREIGN = {
    "empty": b"",
    "seven-bytes": b"\0" * 7,
    "zeros": b"\0" * 4096,
    "text": b"Version: 2012-10-17\n" * 9,
    "a-policy": b'{"Version": "2012-10-17", "Statement": []}',
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\0" * 9,
    "parquet": b"PAR1" + b"\0" * 100 + b"PAR1",
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94." * 4,
    "huge-header": (1 << 62).to_bytes(8, "little") + b"{}" * 50,
    "header-of-a-list": (2).to_bytes(8, "little") + b"[]",
    "header-of-a-number": (3).to_bytes(8, "little") + b"123",
    "header-without-metadata": (2).to_bytes(8, "little") + b"{}",
    "deep-header": (9000).to_bytes(8, "little") + b"[" * 9000,
    "header-not-utf8": (4).to_bytes(8, "little") + b'{"\xff"',
    "long-number": (8010).to_bytes(8, "little") + b'{"a":' + b"1" * 8004 + b"}",
}


@pytest.mark.parametrize("name", _FOREIGN)
def test_a_foreign_file_is_no_compiled_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(_FOREIGN[name])
    for verify in (True, False):
        assert "is no compiled table" in refusal(path, verify=verify).message


def test_a_safetensors_file_of_something_else_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(save({"weight": np.zeros(3, np.float32)}, {"format": "pt"}))
    assert "is no compiled table" in refusal(path).message


def test_a_missing_file_a_directory_and_a_name_with_nul_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.iamt", tmp_path, Path("a\0b"), tmp_path / "x" / "y"):
        assert "cannot read" in refusal(path).message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refusal(tmp_path / "pipe")


def test_another_format_version_is_refused_by_its_number(
    table: iamtables.Table, tmp_path: Path
) -> None:
    metadata = {**metadata_of(table.model), "format_version": str(FORMAT_VERSION + 1)}
    write(tmp_path / "t.iamt", dict(table.model.arrays), metadata)
    error = refusal(tmp_path / "t.iamt")
    assert error.part == "format_version"
    assert f"version {FORMAT_VERSION + 1} cannot be read" in error.message


@pytest.mark.parametrize(
    "options",
    ["", "[]", "5", "null", "{", '{"resource_glob": 1}', '{"resource_glob": "both"}',
     '{"resource_glob": []}', '{"colour": "red"}', '[["a"]]', "[" * 5000, '"span"'],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(
    options: str, table: iamtables.Table, tmp_path: Path
) -> None:
    metadata = {**metadata_of(table.model), "options": options}
    write(tmp_path / "t.iamt", dict(table.model.arrays), metadata)
    assert refusal(tmp_path / "t.iamt").part == "options"


def test_a_file_without_options_is_refused(table: iamtables.Table, tmp_path: Path) -> None:
    metadata = metadata_of(table.model)
    del metadata["options"]
    write(tmp_path / "t.iamt", dict(table.model.arrays), metadata)
    assert refusal(tmp_path / "t.iamt").part == "options"


@pytest.mark.parametrize("name", schema.RULES)
def test_a_missing_array_is_refused_by_name(
    name: str, table: iamtables.Table, tmp_path: Path
) -> None:
    arrays = dict(table.model.arrays)
    del arrays[name]
    write(tmp_path / "t.iamt", arrays, metadata_of(table.model))
    assert refusal(tmp_path / "t.iamt").part == name


def test_an_array_that_no_table_has_is_refused(table: iamtables.Table, tmp_path: Path) -> None:
    arrays = {**table.model.arrays, "extra": np.zeros(4, np.uint32)}
    write(tmp_path / "t.iamt", arrays, metadata_of(table.model))
    assert refusal(tmp_path / "t.iamt").part == "extra"


@pytest.mark.parametrize("name", schema.RULES)
def test_an_array_of_another_type_or_shape_is_refused(
    name: str, table: iamtables.Table, tmp_path: Path
) -> None:
    array = table.model[name]
    other = np.uint32 if array.dtype == np.uint8 else np.uint8
    for changed in (array.astype(other), array.astype(np.float32), array.reshape(1, -1)):
        write(tmp_path / "t.iamt", {**table.model.arrays, name: changed}, metadata_of(table.model))
        assert refusal(tmp_path / "t.iamt").part == name


def _headers(header: dict[str, Any]) -> dict[str, Any]:
    """Ways to lie about where an array lies."""
    entry = header["key_kind"]
    begin, end = entry["data_offsets"]
    return {
        "backwards": {**entry, "data_offsets": [end, begin]},
        "negative": {**entry, "data_offsets": [begin - (1 << 40), end - (1 << 40)]},
        "beyond": {**entry, "data_offsets": [begin + (1 << 40), end + (1 << 40)]},
        "overlapping": {**entry, "data_offsets": [0, end - begin]},
        "too-long": {**entry, "shape": [entry["shape"][0] + 1]},
        "huge": {**entry, "shape": [1 << 64]},
        "two-dimensional": {**entry, "shape": [*entry["shape"], 1]},
        "scalar": {**entry, "shape": []},
        "fraction": {**entry, "shape": [float(entry["shape"][0])]},
        "boolean": {**entry, "data_offsets": [False, True], "shape": [True]},
        "text": {**entry, "data_offsets": "ab"},
        "unhashable-dtype": {**entry, "dtype": []},
        "object-dtype": {**entry, "dtype": "O"},
        "half": {"dtype": entry["dtype"]},
        "null": None,
        "list": [],
    }


def test_lies_about_where_an_array_lies_are_refused(saved: Path) -> None:
    data = saved.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for name, entry in _headers(header).items():
        text = json.dumps({**header, "key_kind": entry}).encode()
        saved.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
        for verify in (True, False):
            assert refusal(saved, verify=verify).part, name


def test_metadata_that_is_not_text_is_refused(saved: Path) -> None:
    data = saved.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for value in (None, 1, [], {}):
        header["__metadata__"]["options"] = value
        text = json.dumps(header).encode()
        saved.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
        assert refusal(saved).part == "__metadata__"


def test_a_file_that_is_not_verified_opens_and_decides(table: iamtables.Table, saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    at = data.index(table.sha256.encode())
    data[at : at + 64] = b"0" * 64
    saved.write_bytes(data)
    refusal(saved)
    opened = iamtables.open_table(saved, verify=False)
    asked = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/x"}
    assert opened.check(**asked).decision == table.check(**asked).decision


# --- what fits its hash and is wrong all the same -----------------------------------------------


def set_first(name: str, value: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][0] = value

    return change


def wildcard_argument(arrays: Arrays) -> None:
    at = int(np.flatnonzero(arrays["glyph_token"] == Token.STAR)[0])
    arrays["glyph_argument"] = arrays["glyph_argument"].copy()
    arrays["glyph_argument"][at] = 0xFFFFFFFF


def point_beyond_unicode(arrays: Arrays) -> None:
    at = int(np.flatnonzero(arrays["glyph_token"] == Token.POINT)[0])
    arrays["glyph_argument"] = arrays["glyph_argument"].copy()
    arrays["glyph_argument"][at] = 0x110000


def operator_that_takes_no(base: str, token: Token) -> Callable[[Arrays], None]:
    """Put a value with that token below an operator that cannot have it."""

    def change(arrays: Arrays) -> None:
        starts = arrays["sequence_start"]
        wanted = next(
            q for q in range(len(starts) - 1)
            if token in arrays["glyph_token"][starts[q] : starts[q + 1]]
        )  # fmt: skip
        test = int(np.flatnonzero(arrays["predicate_base"] == BASE_CODE[base])[0])
        arrays["predicate_value"] = arrays["predicate_value"].copy()
        arrays["predicate_value"][arrays["predicate_value_start"][test]] = wanted

    return change


def trie_loop(arrays: Arrays) -> None:
    """A root without children, and a last node that is its own child, so that counts agree."""
    for name in ("byte", "child_count", "subs", "first_child"):
        arrays[f"action/{name}"] = arrays[f"action/{name}"].copy()
    nodes = len(arrays["action/byte"])
    arrays["action/subs"][:] = arrays["action/child_count"][:] = 0
    arrays["action/child_count"][nodes - 1] = nodes - 1
    arrays["action/first_child"][:] = 1


def change_at(name: str, at: int, by: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][at] += np.uint32(by)

    return change


def children_alike(arrays: Arrays) -> None:
    node = int(np.flatnonzero(arrays["action/child_count"] > 1)[0])
    first = int(arrays["action/first_child"][node])
    arrays["action/byte"] = arrays["action/byte"].copy()
    arrays["action/byte"][first + 1] = arrays["action/byte"][first]


def pattern_filed_twice(arrays: Arrays) -> None:
    arrays["resource/end_pattern"] = arrays["resource/end_pattern"].copy()
    arrays["resource/end_pattern"][1] = arrays["resource/end_pattern"][0]


def automaton_without_words(arrays: Arrays) -> None:
    arrays["resource/word_count"] = arrays["resource/word_count"].copy()
    arrays["resource/word_count"][0] = 0


def automaton_too_wide(arrays: Arrays) -> None:
    arrays["resource/word_count"] = arrays["resource/word_count"].copy()
    arrays["resource/word_count"][0] = 1 << 20


def backward_offsets(arrays: Arrays) -> None:
    arrays["sequence_start"] = arrays["sequence_start"].copy()
    arrays["sequence_start"][1], arrays["sequence_start"][2] = 9, 3


def no_class(arrays: Arrays) -> None:
    arrays["class_is_open"] = np.zeros(0, np.uint8)
    arrays["class_gap"] = np.zeros(0, np.uint8)
    for name in ("class_start", "class_gap_start"):
        arrays[name] = np.zeros(1, np.uint32)
    arrays["class_statement"] = np.zeros(0, np.uint32)


_FITTED: dict[str, tuple[str, Callable[[Arrays], None]]] = {
    "a-value-that-is-no-sequence": ("predicate_value", set_first("predicate_value", NO_ID)),
    "a-wildcard-with-a-number": ("glyph_argument", wildcard_argument),
    "a-code-point-beyond-unicode": ("glyph_argument", point_beyond_unicode),
    "a-wildcard-in-a-number": (
        "predicate_value", operator_that_takes_no("NumericLessThan", Token.STAR)),
    "a-variable-in-a-null-test": (
        "predicate_value", operator_that_takes_no("Null", Token.VARIABLE)),
    "a-trie-with-a-loop": ("action/first_child", trie_loop),
    "a-node-with-a-child-too-many": ("action/child_count", change_at("action/child_count", -1, 1)),
    "nodes-out-of-order": ("action/first_child", change_at("action/first_child", -1, 1)),
    "children-that-are-alike": ("action/byte", children_alike),
    "a-trie-below-a-head-that-is-not-there": (
        "action/child_count", lambda arrays: arrays.update(
            {"action/subs": arrays["action/subs"] | np.uint8(1)})),
    "tries-below-a-head-of-an-unknown-kind": ("action/subs", set_first("action/subs", 4)),
    "a-pattern-filed-twice": ("resource/end_pattern", pattern_filed_twice),
    "an-automaton-without-words": ("resource/mask_start", automaton_without_words),
    "an-automaton-wider-than-its-rows": ("resource/mask_start", automaton_too_wide),
    "offsets-that-go-backwards": ("sequence_start", backward_offsets),
    "no-class-of-statements": ("class_is_open", no_class),
    "a-source-that-is-not-there": ("statement_document", set_first("statement_document", 99)),
    "a-key-that-is-not-there": ("predicate_key", set_first("predicate_key", 99)),
    "an-effect-that-is-none": ("statement_effect", set_first("statement_effect", 3)),
    "a-span-beyond-the-text": ("statement_span", set_first("statement_span", 1 << 30)),
    "an-entry-span-beyond-the-text": (
        "action_entry_span", lambda arrays: arrays.update(
            action_entry_span=arrays["action_entry_span"] + np.uint32(1 << 20))),
}  # fmt: skip


@pytest.mark.parametrize("name", _FITTED)
def test_a_fitting_hash_hides_no_wrong_id(
    name: str, table: iamtables.Table, tmp_path: Path
) -> None:
    part, change = _FITTED[name]
    arrays = dict(table.model.arrays)
    change(arrays)
    write(tmp_path / "t.iamt", arrays, metadata_of(table.model))
    assert refusal(tmp_path / "t.iamt").part == part


def test_spans_end_with_the_code_points_of_their_own_document(tmp_path: Path) -> None:
    """Not with its bytes, and not with those of the documents beside it."""
    texts = ["", "a\u00e9\U0001f600", "\u00e9", "abc", "\u00e9\u00e9"]
    documents = [json.dumps(
        {"Version": "2012-10-17", "Statement": {"Sid": f"S{n}", "Effect": "Allow",
         "Action": f"s3:{text or 'x'}*", "Resource": "*"}}, ensure_ascii=False)
        for n, text in enumerate(texts)]
    made = iamtables.compile([iamtables.parse_policy(text) for text in documents])
    arrays = dict(made.model.arrays)
    for number, document in enumerate(documents):
        spans = arrays["statement_span"].reshape(len(texts), 5, 2).copy()
        for end, is_refused in ((len(document), False), (len(document) + 1, True)):
            spans[number, 0, 1] = end
            changed = {**arrays, "statement_span": spans.reshape(-1)}
            write(tmp_path / "t.iamt", changed, metadata_of(made.model))
            if is_refused:
                assert refusal(tmp_path / "t.iamt").part == "statement_span"
            else:
                assert iamtables.open_table(tmp_path / "t.iamt").sources == made.sources


def test_damaged_files_with_a_fitting_hash_are_refused_or_answered(tmp_path: Path) -> None:
    """`IAMTABLES_FUZZ` sets how many; each mutation follows from its seed alone."""
    half = _MUTATIONS // 2
    outcomes: Counter[str] = Counter()
    with ExitStack() as stack:
        running = []
        for first, count in ((0, half), (half, _MUTATIONS - half)):
            log = stack.enter_context((tmp_path / f"{first}.log").open("w+"))
            running.append((log, subprocess.Popen(
                [sys.executable, str(_FUZZ), str(first), str(count)], stdout=log, stderr=log)))
            stack.callback(running[-1][1].wait)
            stack.callback(running[-1][1].kill)
        for log, process in running:
            returned = process.wait(timeout=120 + _MUTATIONS // 10)
            log.seek(0)
            text = log.read()
            assert returned == 0, text[-3000:]
            outcomes.update(json.loads(text.rpartition("outcomes ")[2]))
    assert sum(outcomes.values()) == _MUTATIONS
    assert min(outcomes["refused"], outcomes["answered"]) > _MUTATIONS // 10


# --- nothing partial is left --------------------------------------------------------------------


def test_saving_leaves_one_file_with_the_permissions_of_any_other(
    table: iamtables.Table, tmp_path: Path
) -> None:
    table.save(tmp_path / "t.iamt")
    (tmp_path / "plain").touch()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain", "t.iamt"]
    assert (tmp_path / "t.iamt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def _full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _FullFile:
    """Takes the first bytes, then the disk is full."""

    def __init__(self, handle: int, mode: str) -> None:
        self._file = open(handle, mode)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> _FullFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data[:100])
        self._file.flush()
        _full_disk()


@pytest.mark.parametrize("call, fault", [("fdopen", _FullFile), ("replace", _full_disk)])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    call: str, fault: Any, table: iamtables.Table, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashlib.sha256(saved.read_bytes()).hexdigest()
    other = compile_texts(['{"Statement": []}'], {})
    monkeypatch.setattr(f"iamtables.runtime.save.os.{call}", fault)
    with pytest.raises(iamtables.ArtefactError, match="No space left"):
        other.save(saved)
    monkeypatch.undo()
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]
    assert hashlib.sha256(saved.read_bytes()).hexdigest() == before


def test_an_interrupted_save_leaves_nothing(
    table: iamtables.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("iamtables.runtime.save.os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        table.save(tmp_path / "t.iamt")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_by_name(
    table: iamtables.Table, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "t.iamt", tmp_path / "file" / "t.iamt", tmp_path / "folder",
                 tmp_path / "a\0b", tmp_path / ("x" * 300)):  # fmt: skip
        with pytest.raises(iamtables.ArtefactError, match="cannot write") as caught:
            table.save(path)
        assert caught.value.path == str(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is read-only for the superuser"
)
def test_a_read_only_directory_is_refused(table: iamtables.Table, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(iamtables.ArtefactError, match="cannot write"):
            table.save(tmp_path / "t.iamt")
    finally:
        tmp_path.chmod(0o700)


def test_a_name_as_long_as_the_system_allows_can_be_saved(
    table: iamtables.Table, tmp_path: Path
) -> None:
    path = tmp_path / ("x" * 250 + ".iamt")
    table.save(path)
    assert iamtables.open_table(path).sha256 == table.sha256


def test_an_open_table_outlives_a_new_file_under_its_name(
    table: iamtables.Table, saved: Path
) -> None:
    opened = iamtables.open_table(saved)
    compile_texts(['{"Statement": []}'], {}).save(saved)
    asked = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/x"}
    assert opened.check(**asked).decision == table.check(**asked).decision
    assert iamtables.open_table(saved).sha256 != table.sha256
