"""Cells to typed columns: every cell is read by the contract, every bad row is put aside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

import msgspec

from common.contracts import Contract
from common.messages import Violation
from common.tables.cells import ColumnReader
from common.tables.faults import Fault, RowFault, cell_violation, row_violation
from common.tables.plan import Plan
from common.tables.raw import RawTable
from common.tables.table import Table

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
"""Controls, and what decoding or a careless program put in the place of a letter."""

_UNFIT_FAULT = Fault("unreadable-character", "text without control or replacement characters")

_FIT_BYTES = bytes(sorted(set(range(256)) - {*range(32), 0x7F, 0xC2, 0xED, 0xEF} | {9, 10, 13}))
"""Bytes of UTF-8 that no unfit character has: what is left without them is worth a search."""

_Read = tuple[list[Any], list[tuple[int, Fault]], str]
"""A column's values by row, its faults by row, its decimal mark."""

_Marked = list[tuple[int, str, Fault]]
"""Faults by row index and column name."""


def check(raw: RawTable, plan: Plan, *, has_unfit: bool) -> Table:
    """Type every column, and reject the rows with a cell that cannot be used.

    ``has_unfit`` says that somewhere in the text there are characters that no cell should hold.
    """
    columns: dict[str, list[Any]] = {}
    marked: _Marked = []
    marks: dict[str, str] = {}
    read = _read_typed if raw.is_typed else _read_text
    for name, cells in raw.cells.items():
        reader = plan.readers[name]
        values, faults, mark = read(reader, cells, has_unfit=has_unfit)
        if mark:
            marks[name] = mark
        marked.extend((row, name, fault) for row, fault in faults)
        if name in plan.kept:
            columns[name] = values
    lines = raw.lines
    for name in plan.kept:
        columns.setdefault(name, [None] * len(lines))
    violations: list[Violation] = []
    if marked or raw.broken:
        violations = _violations(raw, plan.contract, marked)
        bad = {row for row, _, _ in marked}
        is_good = [row not in bad for row in range(len(lines))]
        columns = {name: list(compress(values, is_good)) for name, values in columns.items()}
        lines = list(compress(lines, is_good))
    return Table(
        columns={name: columns[name] for name in plan.kept},
        lines=lines,
        violations=violations,
        rows_read=raw.rows_read,
        dialect=msgspec.structs.replace(raw.dialect, decimal_marks=marks),
    )


def holds_unfit(text: str) -> bool:
    """Whether a text has characters that no cell should hold. Made to say no fast."""
    suspicious = text.encode("utf-8", "surrogatepass").translate(None, _FIT_BYTES)
    return bool(suspicious) and _UNFIT.search(text) is not None


def _read_text(reader: ColumnReader, cells: Sequence[str], *, has_unfit: bool) -> _Read:
    values, faults, mark = reader.read(set(cells))
    if has_unfit:
        faults |= {cell: _UNFIT_FAULT for cell in values if _UNFIT.search(cell)}
    if not faults:
        return list(map(values.__getitem__, cells)), [], mark
    marked = [(row, faults[cell]) for row, cell in enumerate(cells) if cell in faults]
    return list(map(values.get, cells)), marked, mark


def _read_typed(reader: ColumnReader, cells: Sequence[Any], *, has_unfit: bool) -> _Read:
    """Read JSON values: text as in any other file, numbers where the column has numbers."""
    words = ["" if cell is None else _as_text(cell, reader) for cell in cells]
    values, faults, mark = reader.read({word for word in words if word is not None})
    if has_unfit:
        faults |= {cell: _UNFIT_FAULT for cell in values if _UNFIT.search(cell)}
    column: list[Any] = []
    marked: list[tuple[int, Fault]] = []
    for row, (cell, word) in enumerate(zip(cells, words, strict=True)):
        if word is None:
            value = reader.json_value(cell)
        else:
            value = faults[word] if word in faults else values[word]
        if isinstance(value, Fault):
            marked.append((row, value))
            value = None
        column.append(value)
    return column, marked, mark


def _as_text(cell: Any, reader: ColumnReader) -> str | None:
    """A JSON value as the cell of a text file; None for what has to stay what it is."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool) and not reader.is_number:
        return str(cell) if abs(cell) < 10**18 else None
    return None


def _violations(raw: RawTable, contract: Contract, marked: _Marked) -> list[Violation]:
    """Tell every fault, in the file's order; a row that holds nothing has one fault, not many."""
    found = [row_violation(fault) for fault in raw.broken]
    empty: set[int] = set()
    for row, name, fault in marked:
        if row in empty:
            continue
        if fault.code == "missing-value" and _is_empty(raw, row):
            empty.add(row)
            found.append(row_violation(_empty_row(raw.lines[row])))
            continue
        found.append(
            cell_violation(
                fault,
                contract.column(name),
                raw.headings[name],
                raw.lines[row],
                raw.cells[name][row],
            )
        )
    return sorted(found, key=lambda violation: violation.line)


def _is_empty(raw: RawTable, row: int) -> bool:
    return all(
        cell is None or (isinstance(cell, str) and not cell.strip())
        for cell in map(itemgetter(row), raw.cells.values())
    )


def _empty_row(line: int) -> RowFault:
    return RowFault(
        line=line,
        code="empty-row",
        found="a row of empty cells",
        expected="a value in each required column",
    )
