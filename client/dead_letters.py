"""``carimbo dlq``: list dead letters, show one, send them back, throw them away."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

import msgspec
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from client.dead_letter_screen import (
    ListedLetter,
    hidden_line,
    letter_sheet,
    letters_table,
    listed,
    report_lines,
)
from client.errors import CommandError
from client.installation import find_installation
from client.screen import make_console
from common.deadletters import (
    DeadLetter,
    DeadLetterOffice,
    Pace,
    PassReport,
    Selection,
    open_office,
)
from common.deadletters.passes import OnProgress
from common.errors import CarimboError

LISTED = 100
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_RATE = re.compile(r"(\d{1,6}(?:\.\d+)?)(?:/s)?")

T = TypeVar("T")


def add_dead_letters(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``dlq`` and its commands to the parser of ``carimbo``."""
    dlq = commands.add_parser("dlq", help="dead letters: list, show, redrive, purge")
    acts = dlq.add_subparsers(required=True, metavar="command")

    lists = acts.add_parser("list", help="the letters of a model, and why they failed")
    _add_model(lists)
    lists.add_argument("--code", action="append", default=[], help="only this code; repeatable")
    lists.add_argument("--since", type=_duration, help="only those buried within, such as 2h")
    lists.add_argument(
        "--limit", type=_limit, default=LISTED, help=f"stop after so many ({LISTED})"
    )
    lists.add_argument("--json", action="store_true", help="a JSON object a line, for programs")
    lists.set_defaults(command=_list)

    show = acts.add_parser("show", help="one letter's headers, reason and size; never its rows")
    show.add_argument("id", help="a prediction id, or SQS's id of the message")
    _add_model(show)
    show.set_defaults(command=_show)

    redrive = acts.add_parser("redrive", help="send letters back to the queue they came from")
    _add_act(redrive)
    redrive.set_defaults(command=partial(_act, name="redrive"))

    purge = acts.add_parser("purge", help="delete letters for good")
    _add_act(purge)
    purge.set_defaults(command=partial(_act, name="purge"))


def _list(options: argparse.Namespace) -> None:
    letters: list[ListedLetter] = []
    console = make_console()

    async def look(office: DeadLetterOffice) -> PassReport:
        state = await office.state()
        since_ms = 0 if options.since is None else state.now_ms - options.since * 1000

        def take(letter: DeadLetter) -> None:
            line = listed(letter, state.now_ms)
            if options.json:
                print(msgspec.json.encode(line).decode(), flush=True)
            else:
                letters.append(line)

        selection = Selection(codes=frozenset(options.code), sent_from_ms=since_ms)
        report = await office.look(selection, take, limit=options.limit)
        if state.hidden and not options.json:
            console.print(hidden_line(state), soft_wrap=True)
        return report

    report = _at_office(options.model, look)
    if not options.json:
        if letters:
            console.print(letters_table(letters))
        more = ", and there may be more (--limit)" if report.is_cut_short else ""
        console.print(f"{report.done:,} of the {report.seen:,} dead letters seen{more}.")
    _complain(report, frozenset())


def _show(options: argparse.Namespace) -> None:
    console = make_console()

    async def look(office: DeadLetterOffice) -> PassReport:
        now_ms = (await office.state()).now_ms
        return await office.look(
            Selection(ids=frozenset({options.id})),
            lambda letter: console.print(letter_sheet(letter, now_ms)),
        )

    _complain(_at_office(options.model, look), frozenset({options.id}))


def _act(options: argparse.Namespace, *, name: str) -> None:
    """Preview, ask, act. The preview is a dry run, so its figures are what is then done."""
    is_asking = not (options.yes or options.dry_run)
    if is_asking and not sys.stdin.isatty():
        raise CommandError(
            f"Nobody is there to ask, and {name} changes the queue. Look first with --dry-run, "
            "then give --yes."
        )
    console = make_console()
    verb = "purge" if name == "purge" else "send back"
    if is_asking or options.dry_run:
        preview = _at_office(options.model, _run(options, name, is_dry=True))
        console.print(report_lines(preview, did=f"Would {verb}"), soft_wrap=True)
        if options.dry_run or not preview.done:
            _complain(preview, frozenset(options.id))
            return
        answer = input(
            f"{verb.capitalize()} {preview.done:,} dead letters of {options.model}? [y/N] "
        )
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.")
    report = _at_office(options.model, _run(options, name, is_dry=False))
    did = "Purged" if name == "purge" else "Sent back"
    console.print(report_lines(report, did=did), soft_wrap=True)
    _complain(report, frozenset(options.id))


def _run(
    options: argparse.Namespace, name: str, *, is_dry: bool
) -> Callable[[DeadLetterOffice], Awaitable[PassReport]]:
    selection = Selection(ids=frozenset(options.id), codes=frozenset(options.code))
    pace = Pace(None if is_dry else options.rate)

    async def run(office: DeadLetterOffice) -> PassReport:
        act = office.purge if name == "purge" else office.redrive
        total = (await office.state()).visible
        with _progress(name, total, is_shown=not is_dry) as on_progress:
            return await act(selection, is_dry=is_dry, pace=pace, on_progress=on_progress)

    return run


def _progress(name: str, total: int, *, is_shown: bool) -> AbstractContextManager[OnProgress]:
    if not is_shown:
        return nullcontext(lambda _: None)
    return _Progress(name, total)


class _Progress(AbstractContextManager[OnProgress]):
    """A bar on the standard error, of the letters seen; SQS's count of them is approximate."""

    def __init__(self, name: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("seen, {task.fields[done]} done"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(name, total=total, done=0)

    def __enter__(self) -> OnProgress:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, report: PassReport) -> None:
        self._progress.update(self._task, completed=report.seen, done=report.done)


def _complain(report: PassReport, ids: frozenset[str]) -> None:
    """Say by the exit code what was not done.

    Raises:
        CommandError: the pass stopped early, letters failed, or ids were not met.
    """
    if report.stopped_by is not None:
        raise CommandError(f"Stopped early, the rest is as it was: {report.stopped_by}")
    if report.failures:
        count = sum(failure.count for failure in report.failures.values())
        raise CommandError(f"{count:,} dead letters stay, for the reasons above.")
    missing = sorted(ids - report.found)
    if missing:
        raise CommandError(
            f"No dead letter {', '.join(missing)} was seen. It may have been sent back, or be "
            "hidden while another command is at work."
        )


def _at_office(model: str, work: Callable[[DeadLetterOffice], Awaitable[T]]) -> T:
    """Do ``work`` at the model's dead-letter queue.

    Raises:
        CommandError: there is no such queue, or SQS does not answer.
    """
    installation = find_installation()

    async def open_and_work() -> T:
        async with open_office(
            prefix=installation.queue_prefix, model=model, bucket=installation.bucket
        ) as office:
            return await work(office)

    try:
        return asyncio.run(open_and_work())
    except (CarimboError, BotoCoreError) as error:  # the latter: no region, no credentials
        raise CommandError(
            f"The dead letters of {model} are out of reach: {error} Looked at {installation.where}."
        ) from error


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="a name that `carimbo models` lists")


def _add_act(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", action="append", default=[], help="only this one; repeatable")
    which.add_argument("--code", action="append", default=[], help="only this code; repeatable")
    which.add_argument("--all", action="store_true", help="every letter of the model")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--rate", type=_rate, help="at most so many a second, such as 5/s")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _duration(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a duration such as 45s, 30m, 2h, 7d: {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def _rate(text: str) -> float:
    found = _RATE.fullmatch(text)
    rate = float(found[1]) if found else 0.0
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"expected letters a second such as 5/s: {text!r}")
    return rate


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected at least 1: {text!r}")
    return int(text)
