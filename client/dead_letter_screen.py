"""What people see of dead letters: a table, one letter in full, what a pass did. Never a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from common.deadletters import DeadLetter, PassReport, QueueState, contents

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_NOTHING = "-"
_SHOWN_REASON = 120
_ID_WIDTH = 36


class ListedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``list --json``. ``age_seconds`` counts since the burial, by SQS's clock."""

    prediction_id: str
    message_id: str
    code: str
    reason: str
    attempts: int | None
    age_seconds: int
    trace_id: str
    source: str | None
    redrives: int


def listed(letter: DeadLetter, now_ms: int) -> ListedLetter:
    """Reduce a letter to what a list tells, without its body."""
    return ListedLetter(
        prediction_id=letter.prediction_id,
        message_id=letter.message.message_id,
        code=letter.code,
        reason=letter.reason,
        attempts=letter.attempts,
        age_seconds=max(0, now_ms - letter.message.sent_ms) // 1000,
        trace_id=letter.trace_id,
        source=letter.source,
        redrives=letter.redrives,
    )


def letters_table(letters: Sequence[ListedLetter]) -> RenderableType:
    """Letters, the youngest first. Ids are never broken; a long reason is cut (``show`` has it)."""
    table = Table(show_lines=True)
    # Three ids would not fit beside each other: they stand below each other.
    table.add_column("prediction\ntrace\ncame from", overflow="fold", width=_ID_WIDTH)
    table.add_column("code")
    table.add_column("reason")
    for letter in sorted(letters, key=lambda each: each.age_seconds):
        names = (
            letter.prediction_id or letter.message_id,
            letter.trace_id or _NOTHING,
            letter.source or _NOTHING,
        )
        facts = [
            letter.code,
            f"age {age(letter.age_seconds)}",
            f"attempts {_told(letter.attempts)}",
        ]
        if letter.redrives:
            facts.append(f"redrives {letter.redrives}")
        table.add_row(
            _plain("\n".join(names)),
            _plain("\n".join(facts)),
            _plain(shorten(letter.reason, _SHOWN_REASON, placeholder=" …")),
        )
    return table


def letter_sheet(letter: DeadLetter, now_ms: int) -> RenderableType:
    """One letter in full: its end, its size in numbers, its headers."""
    line = listed(letter, now_ms)
    size = contents(letter)
    facts: dict[str, str] = {
        "prediction": letter.prediction_id or "the body is no prediction request",
        "message": letter.message.message_id,
        "code": line.code,
        "reason": line.reason,
        "attempts": _told(line.attempts),
        "redrives": str(line.redrives),
        "age": age(line.age_seconds),
        "trace": line.trace_id or _NOTHING,
        "came from": line.source or _NOTHING,
        "body": f"{size.body_bytes:,} bytes",
        "rows": _told(size.rows),
        "rejected rows": _told(size.rejected_rows),
        "columns": _told(size.columns),
    }
    return Group(_grid(facts), Text("headers"), _grid(dict(sorted(letter.message.headers.items()))))


def report_lines(report: PassReport, *, did: str) -> RenderableType:
    """What a pass did, or would do: ``did`` is the verb ("Sent back", "Would purge")."""
    lines = [f"{did} {report.done:,} of the {report.seen:,} dead letters seen."]
    if report.codes:
        lines.append(f"  by code: {_counts(report.codes)}")
    if len(report.outcomes) > 1 or not report.outcomes.keys() <= {"purged"}:
        lines.append(f"  stored result: {_counts(report.outcomes)}")
    lines.extend(
        f"  stay here: {failure.count:,} ({code}): {failure.message}"
        for code, failure in report.failures.items()
    )
    if report.came_back:
        lines.append(f"  buried anew meanwhile, and left: {report.came_back:,}")
    if report.is_cut_short:
        lines.append(
            "  There may be more: the pass may hide no more letters at a time. Run it again."
        )
    return _plain("\n".join(lines))


def hidden_line(state: QueueState) -> RenderableType:
    """Why fewer letters than expected may show."""
    return Text(
        f"{state.hidden:,} more are hidden now: another command is at work on this queue, or one "
        "was killed within the last minute."
    )


def age(seconds: int) -> str:
    """A duration in its largest whole unit: 45s, 12m, 7h, 3d."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _grid(facts: Mapping[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(_plain(f"  {name}"), _plain(value))
    return grid


def _told(number: int | None) -> str:
    return _NOTHING if number is None else f"{number:,}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _plain(text: str) -> Text:
    """Text as it is, without what would steer a terminal: headers are anybody's."""
    return Text("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text))
