"""Physical lines of a text, and the rows that quotes stretch over them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

_ANY_END = re.compile(r"\r\n|\r|\n")


class Record(NamedTuple):
    """A row's cells and the physical line (from 1) on which it starts."""

    line: int
    cells: list[str]


class BrokenRecord(NamedTuple):
    """A line whose quotes do not pair up, so that its cells cannot be told apart."""

    line: int
    is_oversized: bool = False


def physical_lines(text: str) -> list[str]:
    """Split where an editor would: CR LF, CR or LF, mixed as they come, and nothing else."""
    if "\r" not in text:
        lines = text.split("\n")
    elif text.count("\r") == text.count("\r\n"):
        lines = text.replace("\r\n", "\n").split("\n")
    else:
        lines = _ANY_END.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return lines


def split_cells(line: str, delimiter: str) -> list[str]:
    """Split one line, which is a whole row; unpaired quotes are taken as they stand."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return line.split(delimiter)


def quoted_records(
    lines: list[str], first: int, delimiter: str, *, width: int, span: int
) -> Iterator[Record | BrokenRecord]:
    """Read rows from index ``first`` on, some of them quoted.

    A quote that is never closed, or closes only after ``span`` lines or in a row of another width,
    was a stray one: its line alone is broken, and reading goes on with the next.
    """
    at = first
    while at < len(lines):
        if '"' not in lines[at]:
            yield Record(at + 1, lines[at].split(delimiter))
            at += 1
            continue
        taken, found = _take(lines, at, delimiter, span)
        if isinstance(found, Record) and taken > 1 and len(found.cells) != width:
            taken, found = 1, BrokenRecord(at + 1)
        yield found
        at += taken


def _take(
    lines: list[str], at: int, delimiter: str, span: int
) -> tuple[int, Record | BrokenRecord]:
    """Read one row that starts at index ``at``, and tell how many lines it covers."""
    reader = csv.reader(
        (line + "\n" for line in lines[at : at + span]),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=True,
    )
    try:
        cells = next(reader)
    except (csv.Error, StopIteration) as error:
        return 1, BrokenRecord(at + 1, is_oversized="field limit" in str(error))
    return reader.line_num, Record(at + 1, cells)
