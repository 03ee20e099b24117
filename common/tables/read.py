"""The way of a file: bytes, text, cells, typed columns."""

from __future__ import annotations

import msgspec

from common.contracts import Contract
from common.tables.check import check, holds_unfit
from common.tables.delimited import read_delimited
from common.tables.encoding import decode
from common.tables.json_rows import read_json
from common.tables.media import Medium, declared_charset, medium_of
from common.tables.plan import plan_for
from common.tables.table import DEFAULT_LIMITS, Limits, Purpose, Table
from common.tables.unpack import GZIP_MAGIC, too_large, unpack
from common.tables.unreadable import UnreadableFile


def read_table(  # noqa: PLR0913 - two hints and two settings, each by name
    content: bytes,
    contract: Contract,
    *,
    media_type: str | None = None,
    file_name: str | None = None,
    purpose: Purpose = Purpose.LABELLING,
    limits: Limits = DEFAULT_LIMITS,
) -> Table:
    """Read a client's file under a contract. Costs CPU only: call it off the event loop.

    ``media_type`` is a Content-Type with its parameters, ``file_name`` the client's own; both are
    hints, and the content has the last word. Every row of the file is either in the table's
    columns or has a violation.

    Raises:
        UnreadableFile: there is no row that could be used, with the reason.
    """
    is_gzipped = content.startswith(GZIP_MAGIC)
    if is_gzipped:
        content = unpack(content, limits.unpacked_bytes)
    elif len(content) > limits.unpacked_bytes:
        raise too_large(limits.unpacked_bytes)
    if not content.strip():
        raise UnreadableFile(
            "empty-file",
            "The file is empty. Send a line of headings and at least one row.",
            looked_for="a line of headings and rows",
            found="nothing",
        )
    medium = medium_of(content, media_type, file_name)
    decoded = decode(content, contract, declared_charset(media_type))
    plan = plan_for(contract, purpose, limits)
    read = read_json if medium is Medium.JSON else read_delimited
    raw = read(decoded, plan)
    table = check(raw, plan, has_unfit=holds_unfit(decoded.text))
    if not table.lines:
        raise _no_good_row(table)
    if is_gzipped:
        table.dialect = msgspec.structs.replace(table.dialect, is_gzipped=True)
    return table


def _no_good_row(table: Table) -> UnreadableFile:
    if not table.rows_read:
        found, advice = "no row at all", "Send the rows as well as the headings."
    else:
        codes = sorted({violation.code for violation in table.violations})
        found = f"{table.rows_read} rows, all of them rejected ({', '.join(codes)})"
        advice = "The violations say what each row lacks."
    return UnreadableFile(
        "no-good-row",
        f"No row of the file can be used: found {found}. {advice}",
        looked_for="at least one row that fits the contract",
        found=found,
        violations=table.violations,
        rows_read=table.rows_read,
    )
