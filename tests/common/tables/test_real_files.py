"""The real files beside the checkout, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts import Contract, shipped_contracts
from common.tables import Purpose, UnreadableFile, read_table

PURCHASE_ROWS = {
    "201612": 3002,
    "201701": 5227,
    "201702": 3836,
    "201703": 4261,
    "201704": 3163,
    "201705": 5256,
}


def test_every_row_of_every_account_is_read(shared_data: Path, accounts: Contract) -> None:
    tables = [
        read_table(path.read_bytes(), accounts, purpose=Purpose.TRAINING)
        for path in sorted((shared_data / "brazilian-real-bank").glob("*.csv"))
    ]

    labels = {label for table in tables for label in table.columns["merchant_group"]}
    assert len(tables) == 18
    assert sum(len(table.lines) for table in tables) == 3290
    assert [table.violations for table in tables] == [[]] * 18
    assert {table.dialect.encoding for table in tables} == {"mac_roman"}
    assert labels <= set(accounts.label.values)
    assert "SERVIÇO" in labels


@pytest.mark.parametrize("month", PURCHASE_ROWS)
def test_every_row_of_every_month_is_read(
    shared_data: Path, purchases: Contract, month: str
) -> None:
    name = f"purchase-card-transactions-{month}.csv"
    content = (shared_data / "purchase-cards" / name).read_bytes()

    table = read_table(content, purchases)

    rejected = [(violation.line, violation.code) for violation in table.violations]
    assert table.rows_read == PURCHASE_ROWS[month]
    assert rejected == ([(5257, "empty-row")] if month == "201705" else [])


@pytest.mark.parametrize("family", sorted(shipped_contracts()))
def test_every_statement_is_read_or_refused(shared_data: Path, family: str) -> None:
    contract = shipped_contracts()[family]
    answers = []
    for path in sorted((shared_data / "statements").rglob("*")):
        if path.is_file():
            try:
                read_table(path.read_bytes(), contract, file_name=path.name)
                answers.append("read")
            except UnreadableFile as refusal:
                answers.append(refusal.code)

    assert set(answers) <= {"read", "no-header", "no-good-row", "unsupported-media-type"}
    assert len(answers) > 20
