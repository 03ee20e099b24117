"""JSON in its three shapes to cells: an array of rows, an object of columns, a row a line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from common.tables.encoding import Decoded
from common.tables.faults import RowFault
from common.tables.header import match_headings, wanted_headings
from common.tables.lines import physical_lines
from common.tables.plan import Plan
from common.tables.raw import RawTable
from common.tables.table import Dialect, FileFormat
from common.tables.unreadable import UnreadableFile, too_many_rows

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_BAD_JSON = (msgspec.DecodeError, RecursionError, ArithmeticError, ValueError)
_UNREADABLE_LINE = object()


def read_json(decoded: Decoded, plan: Plan) -> RawTable:
    """Tell rows and cells of a JSON text apart; ``lines`` are the rows' ordinals from 1.

    Raises:
        UnreadableFile: it is not JSON, not of a shape that holds rows, or without required keys.
    """
    try:
        data = _decoder.decode(decoded.text)
    except _BAD_JSON as error:
        rows = _ndjson_rows(decoded.text)
        if rows is None:
            raise _not_json(error) from None
        return _from_rows(rows, FileFormat.NDJSON, decoded, plan)
    if isinstance(data, list):
        return _from_rows(data, FileFormat.JSON_ROWS, decoded, plan)
    if isinstance(data, dict):
        if any(isinstance(value, list) for value in data.values()):
            return _from_columns(data, decoded, plan)
        return _from_rows([data], FileFormat.NDJSON, decoded, plan)
    raise UnreadableFile(
        "unreadable-file",
        "The JSON holds a single value. Send an array of rows, an object of columns, or a row a "
        "line.",
        looked_for="an array of objects, an object of arrays, or an object a line",
        found="a single value",
    )


def _ndjson_rows(text: str) -> list[Any] | None:
    """Read a row a line; None when not even the first line that holds anything is one."""
    rows: list[Any] = []
    for line in physical_lines(text):
        if not line.strip():
            continue
        try:
            row = _decoder.decode(line)
        except _BAD_JSON:
            row = _UNREADABLE_LINE
        if not rows and not isinstance(row, dict):
            return None
        rows.append(row)
    return rows or None


def _from_rows(rows: list[Any], shape: FileFormat, decoded: Decoded, plan: Plan) -> RawTable:
    if len(rows) > plan.limits.rows:
        raise too_many_rows(len(rows), plan.limits.rows)
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    broken: list[RowFault] = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            objects.append(row)
            lines.append(number)
        else:
            broken.append(_not_an_object(number, is_json=row is not _UNREADABLE_LINE))
    keys = list(dict.fromkeys(key for row in objects for key in row))
    names = _matched(keys, plan)
    return RawTable(
        headings={name: spellings[0] for name, spellings in names.items()},
        cells={name: _gathered(objects, spellings) for name, spellings in names.items()},
        lines=lines,
        broken=broken,
        is_typed=True,
        dialect=Dialect(format=shape, encoding=decoded.encoding),
    )


def _gathered(objects: list[dict[str, Any]], spellings: list[str]) -> list[Any]:
    """Take a column's cell from every row; rows may spell its key in different ways."""
    if len(spellings) == 1:
        return [row.get(spellings[0]) for row in objects]
    return [next((row[key] for key in spellings if key in row), None) for row in objects]


def _from_columns(data: dict[str, Any], decoded: Decoded, plan: Plan) -> RawTable:
    names = _matched(list(data), plan)
    cells: dict[str, Sequence[Any]] = {}
    for name, spellings in names.items():
        column = data[spellings[0]]
        if len(spellings) > 1 or not isinstance(column, list):
            raise UnreadableFile(
                "unreadable-file",
                f"The JSON object has no single array for the column '{name}'. Give every column "
                "once, as an array with a value a row.",
                looked_for=f"one array for '{name}'",
                found=f"{len(spellings)} keys" if len(spellings) > 1 else "no array",
            )
        cells[name] = column
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise UnreadableFile(
            "unreadable-file",
            f"The columns are not equally long: {found}. Give every column a value a row.",
            looked_for="arrays of one length",
            found=found,
        )
    rows = max(lengths.values(), default=0)
    if rows > plan.limits.rows:
        raise too_many_rows(rows, plan.limits.rows)
    return RawTable(
        headings={name: spellings[0] for name, spellings in names.items()},
        cells=cells,
        lines=list(range(1, rows + 1)),
        broken=[],
        is_typed=True,
        dialect=Dialect(format=FileFormat.JSON_COLUMNS, encoding=decoded.encoding),
    )


def _matched(keys: list[str], plan: Plan) -> dict[str, list[str]]:
    """Find the keys of the columns that are read. An empty array has none, and misses none."""
    matched = match_headings(keys[: plan.limits.columns], plan.headings)
    missing = plan.required - matched.keys()
    if keys and missing:
        looked_for = wanted_headings(plan.required, plan.contract)
        known = ", ".join(repr(keys[places[0]]) for places in matched.values()) or "none"
        found = f"{len(keys)} keys, of which known: {known}"
        raise UnreadableFile(
            "no-header",
            f"The rows lack keys that '{plan.contract.family}' needs: "
            f"{wanted_headings(missing, plan.contract)}. Found {found}.",
            looked_for=looked_for,
            found=found,
        )
    return {
        name: [keys[at] for at in places]
        for name, places in matched.items()
        if name in plan.readers
    }


def _not_an_object(number: int, *, is_json: bool) -> RowFault:
    return RowFault(
        line=number,
        code="not-an-object",
        found="another kind of value" if is_json else "a line that is not JSON",
        expected="a JSON object with a value for each column",
    )


def _not_json(error: Exception) -> UnreadableFile:
    reason = str(error) if isinstance(error, msgspec.DecodeError) else "nested too deeply"
    return UnreadableFile(
        "unreadable-file",
        f"The file looks like JSON and is not: {reason}. Check that it is complete.",
        looked_for="JSON: an array of objects, an object of arrays, or an object a line",
        found=reason,
    )
