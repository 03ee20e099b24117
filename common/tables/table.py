"""What reading a file gives, and what bounds it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from common.messages import Violation


class Purpose(StrEnum):
    """Why a file is read: labels are needed to train, and not looked at to label."""

    LABELLING = "labelling"
    TRAINING = "training"


class FileFormat(StrEnum):
    """The shapes in which rows come."""

    DELIMITED = "delimited"
    JSON_ROWS = "json-rows"
    JSON_COLUMNS = "json-columns"
    NDJSON = "ndjson"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what one file may cost."""

    unpacked_bytes: int = 16 * 1024 * 1024
    rows: int = 100_000
    columns: int = 1_000
    """Cells in a line; a file with wider lines is no table of ours."""
    cell_characters: int = 4_000
    header_lines: int = 60
    """Lines in which the headings must appear: what stands above them is a preamble."""
    quoted_lines: int = 20
    """Lines that one quoted row may cover; a quote that stays open longer was a stray one."""


DEFAULT_LIMITS = Limits()


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How a file turned out to be written. ``decimal_marks`` is by canonical column name."""

    format: FileFormat
    encoding: str
    delimiter: str | None = None
    header_line: int | None = None
    decimal_marks: dict[str, str] = {}
    is_gzipped: bool = False


class Table(msgspec.Struct, kw_only=True):
    """A file's good rows as columns, and why the others were rejected.

    ``columns`` is by canonical name, each as long as ``lines``: Decimal, int, date, str or None.
    ``rows_read`` counts every row: good ones and rejected ones.
    """

    columns: dict[str, list[Any]]
    lines: list[int]
    violations: list[Violation]
    rows_read: int
    dialect: Dialect

    @property
    def rows_rejected(self) -> int:
        """Rows with at least one violation."""
        return self.rows_read - len(self.lines)
