"""CSV-like text to cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from common.tables.encoding import Decoded
from common.tables.faults import RowFault
from common.tables.header import Header, find_header
from common.tables.lines import BrokenRecord, Record, physical_lines, quoted_records
from common.tables.plan import Plan
from common.tables.raw import RawTable
from common.tables.table import Dialect, FileFormat, Limits
from common.tables.unreadable import too_many_rows


def read_delimited(decoded: Decoded, plan: Plan) -> RawTable:
    """Tell a text's rows and cells apart.

    Raises:
        UnreadableFile: there is no usable line of headings, or there are too many lines.
    """
    lines = physical_lines(decoded.text)
    header = find_header(lines, plan)
    if len(lines) - header.at - 1 > plan.limits.rows:
        raise too_many_rows(len(lines) - header.at - 1, plan.limits.rows)
    width = len(header.cells)
    wanted = {name: at for name, at in header.places.items() if name in plan.readers}
    broken: list[RowFault] = []
    rows, numbers = _plain_rows(lines, header, is_quoted='"' in decoded.text)
    if rows is None:
        records = _records(lines, header, plan.limits)
        rows, numbers = _fitting(records, width, header.named_width, broken)
    cells = list(zip(*rows, strict=False)) if rows else [()] * width
    return RawTable(
        headings={name: header.cells[at].strip() for name, at in wanted.items()},
        cells={name: cells[at] for name, at in wanted.items()},
        lines=numbers,
        broken=broken,
        is_typed=False,
        dialect=Dialect(
            format=FileFormat.DELIMITED,
            encoding=decoded.encoding,
            delimiter=header.delimiter,
            header_line=header.at + 1,
        ),
    )


def _plain_rows(
    lines: list[str], header: Header, *, is_quoted: bool
) -> tuple[list[list[str]] | None, list[int]]:
    """Split the file that most files are: no quotes, no blank line, every row of one width."""
    if is_quoted:
        return None, []
    delimiter, first = header.delimiter, header.at + 1
    rows = [line.split(delimiter) for line in lines[first:]]
    if not {len(header.cells)}.issuperset(map(len, rows)) or len(header.cells) == 1:
        return None, []
    return rows, list(range(first + 1, len(lines) + 1))


def _records(lines: list[str], header: Header, limits: Limits) -> Iterator[Record | BrokenRecord]:
    return quoted_records(
        lines,
        header.at + 1,
        header.delimiter,
        width=len(header.cells),
        span=limits.quoted_lines,
    )


def _fitting(
    records: Iterable[Record | BrokenRecord], width: int, named_width: int, broken: list[RowFault]
) -> tuple[list[list[str]], list[int]]:
    """Keep the rows that are as wide as the headings, skip blank lines, note the others.

    Empty cells beyond the headings are what spreadsheets leave behind; cells may be missing where
    the headings have no name either.
    """
    rows: list[list[str]] = []
    numbers: list[int] = []
    for record in records:
        if isinstance(record, BrokenRecord):
            broken.append(_unsplittable(record))
            continue
        cells = record.cells
        if len(cells) <= 1 and not "".join(cells).strip():
            continue
        if len(cells) != width:
            if len(cells) < named_width or any(cell.strip() for cell in cells[width:]):
                broken.append(_wrong_width(record, width))
                continue
            cells = cells[:width] + [""] * (width - len(cells))
        rows.append(cells)
        numbers.append(record.line)
    return rows, numbers


def _wrong_width(record: Record, width: int) -> RowFault:
    return RowFault(
        line=record.line,
        code="wrong-width",
        found=f"{len(record.cells)} cell{'' if len(record.cells) == 1 else 's'}",
        expected=f"{width}, as many as there are headings",
    )


def _unsplittable(record: BrokenRecord) -> RowFault:
    if record.is_oversized:
        return RowFault(
            line=record.line,
            code="oversized-cell",
            found="a quoted cell that is too long",
            expected="cells of a table",
        )
    return RowFault(
        line=record.line,
        code="malformed-quotes",
        found="a quotation mark without its pair",
        expected="cells quoted whole, and a quotation mark inside them doubled",
    )
