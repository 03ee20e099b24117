"""Writes a sample file's rows in a dialect, flaws included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from orchestration.samples.profile import Dialect, Field
from orchestration.samples.purchase import Purchase

DASH = " -   "
"""How a spreadsheet's accounting format shows zero."""


def write(rows: Sequence[Purchase], fixed: Mapping[str, str], dialect: Dialect) -> bytes:
    """The file's bytes: one line of headings, then a line a row."""
    lines = [dialect.delimiter.join(column.heading for column in dialect.columns)]
    for row in rows:
        cells = (
            column.before + _cell(row, column.field, fixed, dialect) + column.after
            for column in dialect.columns
        )
        lines.append(dialect.delimiter.join(_quoted(cell, dialect) for cell in cells))
    return dialect.newline.join([*lines, ""]).encode(dialect.encoding)


def _cell(row: Purchase, field: str, fixed: Mapping[str, str], dialect: Dialect) -> str:
    if field in fixed:
        return fixed[field]
    cell = ""
    match Field(field):
        case Field.DATE:
            written = row.day.strftime(dialect.date_format)
            cell = written if dialect.day_padded else written.removeprefix("0")
        case Field.AMOUNT:
            cell = _amount(row.amount, dialect)
        case Field.SPENT:
            cell = _amount(row.spent, dialect)
        case Field.LABEL:
            cell = row.label or ""
        case Field.WORDS:
            cell = row.words
        case Field.PLACE:
            cell = row.place
        case Field.COUNTRY:
            cell = row.country
    return cell


def _amount(amount: Decimal, dialect: Dialect) -> str:
    if dialect.trimmed and amount == 0:
        return DASH
    written = f"{amount:,.2f}"
    whole, _, cents = written.partition(".")
    if dialect.trimmed:
        cents = cents.rstrip("0")
    whole = whole.replace(",", dialect.thousands_mark)
    return f"{whole}{dialect.decimal_mark}{cents}" if cents else whole


def _quoted(cell: str, dialect: Dialect) -> str:
    if not dialect.quoted or (dialect.delimiter not in cell and '"' not in cell):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'
