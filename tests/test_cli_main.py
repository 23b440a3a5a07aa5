"""The command as a whole: help, usage errors, exit codes, streams, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import FULL_ACCESS, allow, iamtables, policy

VERBS = ("check", "audit", "replay", "diff", "history", "test", "compile", "inspect", "sql",
         "init", "demo")


def command(*arguments: str, **more):
    return subprocess.Popen([sys.executable, "-m", "iamtables.cli.main", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_help_lists_every_verb():
    finished = iamtables("--help")
    assert finished.code == 0
    for verb in VERBS:
        assert f"  {verb} " in finished.out
    assert "Exit codes: 0 allowed or fine" in finished.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_its_exit_codes(verb):
    finished = iamtables(verb, "--help")
    assert finished.code == 0 and finished.out.startswith(f"Usage: iamtables {verb}")
    assert "Exit codes:" in finished.out or verb == "demo"


def test_the_version_is_shown():
    assert iamtables("--version").out.startswith("iamtables 0.")


@pytest.mark.parametrize("arguments", [
    ("frobnicate",),
    ("check",),
    ("check", FULL_ACCESS),
    ("check", FULL_ACCESS, "--action", "s3:GetObject", "--context", "no-equals-sign"),
    ("check", FULL_ACCESS, "--action", "s3:GetObject", "--option", "resource_glob=wrong"),
    ("check", FULL_ACCESS, "--action", "s3:GetObject", "--option", "unheard_of=1"),
    ("compile", FULL_ACCESS),
    ("audit", "x"),
    ("demo", "--records", "0"),
])
def test_a_command_that_makes_no_sense_is_a_usage_error(arguments):
    finished = iamtables(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err and "Traceback" not in finished.err


@pytest.mark.parametrize("content", [
    b"", b"not json", b"[1]", b'{"Statement": [', b"\xff\xfe", b"\x00",
    b'{"Version": "2012-10-17", "Statement": "\xed\xa0\x80"}',
])
def test_a_policy_that_cannot_be_read_is_one_message_and_exit_code_3(tmp_path, content):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    finished = iamtables("check", path, "--action", "s3:GetObject", "--resource", "*")
    assert (finished.code, finished.out) == (3, "")
    assert finished.err.count("error[IT") == 1
    assert "p.json" in finished.err and "Traceback" not in finished.err


def test_a_policy_that_is_not_there_is_an_input_error(tmp_path):
    finished = iamtables("check", tmp_path / "none.json", "--action", "a:B", "--resource", "*")
    assert finished.code == 3 and "error[IT010]" in finished.err and "help:" in finished.err


def test_strict_mode_refuses_what_lenient_mode_goes_past(tmp_path):
    path = policy(tmp_path, allow("s3:*", Surplus=1))
    arguments = ("check", path, "--action", "s3:GetObject", "--resource", "*")
    lenient, strict = iamtables(*arguments), iamtables(*arguments, "--strict")
    assert strict.code == 3 and "error[IT" in strict.err and strict.out == ""
    assert lenient.code != 3 and "[IT" in lenient.err


def test_help_does_not_import_the_engine():
    code = ("import sys; sys.argv=['iamtables','--help']\n"
            "from iamtables.cli.main import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print(sorted({'numpy','pyarrow','lark','rich'} & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_with_130_and_leaves_no_partial_file(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    fifo = log / "x.json"
    os.mkfifo(fifo)
    output = tmp_path / "out.parquet"
    # A test run in the background of a shell ignores interrupts, and so would the process.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = command("audit", "--policy", FULL_ACCESS, str(fifo), "--output", str(output),
                          cwd=tmp_path)
    finally:
        signal.signal(signal.SIGINT, heard)
    deadline = time.monotonic() + 20
    while not any(".part" in name for name in os.listdir(tmp_path)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err and "interrupted" in err
    assert sorted(os.listdir(tmp_path)) == ["log"]


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away_is_no_complaint(tmp_path):
    case = ('{"id": 1, "policies": {"identity": []}, "request": {"action": "a:B", "resource": "*",'
            ' "principal": "anonymous"}}\n')
    (tmp_path / "cases.jsonl").write_text(case * 50_000)
    process = command("test", "--emit", str(tmp_path / "cases.jsonl"))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 141
