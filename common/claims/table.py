"""The claimed object: a file's rows as NDJSON, some thousand rows a line.

In parts, because decoding one holds the interpreter: a worker's leases and other files must find
their turn between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from common.messages import Violation

PART_ROWS = 10_000
"""About a megabyte, decoded in some ten milliseconds."""

CONTENT_TYPE = "application/x-ndjson"


class TablePart(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a file's rows, as ``PredictionRequest`` has all of them."""

    lines: list[int]
    columns: msgspec.Raw
    violations: list[Violation] = []


class ClaimedTable(NamedTuple):
    """A redeemed object. ``columns`` has one JSON object of arrays a part."""

    lines: list[int]
    columns: list[msgspec.Raw]
    violations: list[Violation]


_encoder = msgspec.json.Encoder()
_parts = msgspec.json.Decoder(TablePart)


def write_part(part: TablePart) -> bytes:
    """A line of the object: JSON as it is encoded here has no line break of its own."""
    return _encoder.encode(part) + b"\n"


def part_of(
    lines: list[int], columns: Mapping[str, Sequence[Any]], first: int, violations: list[Violation]
) -> TablePart:
    """The part that begins with row ``first`` of a whole file's columns."""
    rows = slice(first, first + PART_ROWS)
    cells = {name: column[rows] for name, column in columns.items()}
    return TablePart(
        lines=lines[rows],
        columns=msgspec.Raw(_encoder.encode(cells)),
        violations=violations,
    )


def read_table_parts(content: bytes) -> ClaimedTable:
    """Take an object apart.

    Raises:
        msgspec.DecodeError: it is not what ``write_part`` writes.
    """
    table = ClaimedTable([], [], [])
    for line in content.splitlines():
        part = _parts.decode(line)
        table.lines.extend(part.lines)
        table.columns.append(part.columns)
        table.violations.extend(part.violations)
    return table
