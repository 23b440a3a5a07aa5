"""`iamtables test`: policy unit tests, or with `--emit` answers in bulk."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import click

from ..errors import IamtablesError, SourceError
from .exits import Exit, printable

if TYPE_CHECKING:
    from .cases import Case

_FLUSH_EVERY = 512


@click.command("test", short_help="Run policy unit tests.")
@click.argument("files", nargs=-1, required=True, metavar="CASES.jsonl...")
@click.option("--emit", is_flag=True,
              help='Print {"id", "result", "deciders"} for every case and judge nothing.')
@click.option("--engine", type=click.Choice(["auto", "tables", "reference"]), default="auto",
              show_default=True,
              help="What decides: the tables (auto: but for context keys that differ in case "
                   "only), or the reference evaluator.")
@click.option("--verbose", "-v", is_flag=True, help="List the cases that passed, too.")
def command(files: tuple[str, ...], emit: bool, engine: str, verbose: bool) -> None:
    """Decide cases, one JSON object per line (docs/spec/semantics.md, section 8).

    A case whose `expect` is not the answer fails. `-` reads standard input. A line that is not a
    case is reported by file and line; the others still run.

    Exit codes: 0 all passed, 1 a case failed, 3 a line could not be used.
    """
    from .cases import CaseRunner

    runner = CaseRunner(engine)  # type: ignore[arg-type]
    cases = _all_cases(files)
    sys.exit(_emit(cases, runner) if emit else _judge(cases, runner, verbose))


def _all_cases(files: Iterable[str]) -> Iterator[tuple[str, object, Case | IamtablesError]]:
    """(place, id, case or what is wrong with the line) of every line of every file."""
    from .cases import case_id, case_lines, read_case

    for name in files:
        with _opened(name) as stream:
            for number, line in case_lines(stream):
                place = f"{'<stdin>' if name == '-' else name}:{number}"
                try:
                    case = read_case(line, place)
                except IamtablesError as error:
                    yield place, case_id(line), error
                else:
                    yield place, case.id, case


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise SourceError(f"cannot read `{name}`: {error.strerror}", path=name,
                          help="give a file of cases, one JSON object per line, or `-`") from error
    with stream:
        yield stream


def _emit(cases: Iterable[tuple[str, object, Case | IamtablesError]], runner: object) -> Exit:
    import msgspec

    from .cases import CaseRunner

    assert isinstance(runner, CaseRunner)
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    code = Exit.OK
    for count, (place, name, case) in enumerate(cases, 1):
        answer: dict[str, object] = {"id": name}
        try:
            if isinstance(case, IamtablesError):
                raise case
            decided = runner.answer(case)
            answer |= {"result": decided.result, "deciders": decided.deciders}
        except IamtablesError as error:
            answer["error"] = _located(error, place)
            code = Exit.INPUT
        out.write(encode(answer) + b"\n")
        if count % _FLUSH_EVERY == 0:
            out.flush()
    out.flush()
    return code


def _located(error: IamtablesError, place: str) -> str:
    return error.message if error.message.startswith(place) else f"{place}: {error.message}"


def _judge(cases: Iterable[tuple[str, object, Case | IamtablesError]], runner: object,
           verbose: bool) -> Exit:
    from rich.text import Text

    from .cases import CaseRunner
    from .outputs import make_console

    assert isinstance(runner, CaseRunner)
    console = make_console()
    passed = failed = faulty = unjudged = 0
    for place, name, case in cases:
        try:
            if isinstance(case, IamtablesError):
                raise case
            answer = runner.answer(case)
        except IamtablesError as error:
            faulty += 1
            click.echo(printable(f"error[{error.code}]: {_located(error, place)}"
                                 + (f"\nhelp: {error.help}" if error.help else "")), err=True)
            continue
        title = printable(str(name) if name is not None else place)
        by = f" by {', '.join(answer.deciders)}" if answer.deciders else ""
        if case.expect is None:
            unjudged += 1
            console.print(Text.assemble(("  -   ", "dim"), f"{title}  {answer.result}{by}"))
        elif answer.result == case.expect:
            passed += 1
            if verbose:
                console.print(Text.assemble(("pass  ", "green"), f"{title}  {answer.result}{by}"))
        else:
            failed += 1
            request = case.request
            console.print(Text.assemble(
                ("FAIL  ", "bold red"), (title, "bold"), f"  ({place})\n",
                f"      expected {case.expect}, got {answer.result}{by}\n",
                printable(f"      {request.principal} {request.action} on {request.resource}"),
                printable(f"\n      why: {case.why}") if case.why else "",
            ))
    total = passed + failed + faulty + unjudged
    parts = [f"{passed} passed"]
    parts += [f"{failed} failed"] * bool(failed)
    parts += [f"{unjudged} without `expect`"] * bool(unjudged)
    parts += [f"{faulty} unusable"] * bool(faulty)
    style = "red" if failed or faulty else "green"
    console.print(Text(f"{total} case{'s' * (total != 1)}: {', '.join(parts)}", style=style))
    return Exit.INPUT if faulty else Exit.NEGATIVE if failed else Exit.OK
