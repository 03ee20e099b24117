"""JSON in three shapes: the same checks, the same violations, and no decimal lost."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.contracts import Contract
from common.tables import Limits, UnreadableFile, read_table

ROW: dict[str, Any] = {
    "transaction_date": "2019-12-04",
    "amount": 31,
    "merchant_city": "OSASCO",
}


def _rows(*changes: dict[str, Any]) -> bytes:
    return json.dumps([{**ROW, **change} for change in changes]).encode()


def test_an_array_of_rows_an_object_of_columns_and_a_row_a_line_say_the_same(
    accounts: Contract,
) -> None:
    rows = [ROW, {**ROW, "amount": "1.234,56"}]
    shapes = [
        json.dumps(rows),
        json.dumps({name: [row[name] for row in rows] for name in ROW}, indent=2),
        "\n".join(map(json.dumps, rows)) + "\n",
    ]

    tables = [read_table(shape.encode(), accounts) for shape in shapes]

    assert [table.dialect.format for table in tables] == ["json-rows", "json-columns", "ndjson"]
    for table in tables:
        assert table.columns["amount"] == [Decimal(31), Decimal("1234.56")]
        assert table.columns["transaction_date"] == [date(2019, 12, 4)] * 2
        assert table.lines == [1, 2]


def test_a_number_keeps_every_digit_it_was_written_with(accounts: Contract) -> None:
    content = json.dumps([ROW]).replace("31", "0.100000000000000001").encode()

    assert str(read_table(content, accounts).columns["amount"][0]) == "0.100000000000000001"


def test_the_clients_own_keys_work_as_well_as_canonical_ones(accounts: Contract) -> None:
    content = json.dumps([{"data": "4.12.2019", " valor ": 5, "cidade_estabelecimento": "X"}])

    assert read_table(content.encode(), accounts).columns["amount"] == [Decimal(5)]


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        ({"amount": None}, "amount", "missing-value"),
        ({"amount": True}, "amount", "not-a-decimal"),
        ({"amount": [1]}, "amount", "not-a-decimal"),
        ({"amount": "twelve"}, "amount", "not-a-decimal"),
        ({"amount": 1e300}, "amount", "not-a-decimal"),
        ({"amount": 10**40}, "amount", "not-a-decimal"),
        ({"transaction_date": 5}, "transaction_date", "not-a-date"),
        ({"transaction_date": {"y": 1}}, "transaction_date", "not-a-date"),
        ({"merchant_city": {"name": "X"}}, "merchant_city", "not-text"),
        ({"merchant_city": False}, "merchant_city", "not-text"),
        ({"age": 37.5}, "age", "not-an-integer"),
        ({"age": 500}, "age", "above-maximum"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_kind_is_a_violation_of_its_row(
    accounts: Contract, change: dict[str, Any], column: str, code: str
) -> None:
    table = read_table(_rows({}, change, {}), accounts)

    assert table.lines == [1, 3]
    assert [(v.line, v.column, v.code) for v in table.violations] == [(2, column, code)]


def test_a_key_left_out_of_one_row_is_missing_there(accounts: Contract) -> None:
    content = json.dumps([ROW, {"amount": 1, "merchant_city": "X"}]).encode()

    (violation,) = read_table(content, accounts).violations

    assert (violation.line, violation.column) == (2, "transaction_date")


def test_a_personal_number_is_not_shown(accounts: Contract) -> None:
    (violation,) = read_table(_rows({}, {"age": 512}), accounts).violations

    assert violation.found == "a number"
    assert "512" not in violation.message


def test_what_is_no_object_is_a_violation(accounts: Contract) -> None:
    array = read_table(json.dumps([ROW, 5, None]).encode(), accounts)
    lines = read_table(f"{json.dumps(ROW)}\n{{broken\n".encode(), accounts)

    assert [(v.line, v.code) for v in array.violations] == [
        (2, "not-an-object"),
        (3, "not-an-object"),
    ]
    assert [(v.line, v.code) for v in lines.violations] == [(2, "not-an-object")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[{"amount": 1},', "unreadable-file"),
        ("[" * 100_000, "unreadable-file"),
        ('[{"a":' * 50_000, "unreadable-file"),
        ('[{"amount": 1}]', "no-header"),
        ("[]", "no-good-row"),
        ('{"amount": [1], "transaction_date": [], "merchant_city": ["X"]}', "unreadable-file"),
        ('{"amount": [1], "transaction_date": "x", "merchant_city": ["X"]}', "unreadable-file"),
        ('[{"amount": "\\ud800"}]', "unreadable-file"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_json_that_holds_no_rows_is_refused(accounts: Contract, text: str, code: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(text.encode(), accounts)

    assert refusal.value.code == code


def test_a_single_value_declared_as_json_is_refused(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile, match="single value"):
        read_table(b"5", accounts, media_type="application/json; charset=utf-8")


@pytest.mark.parametrize(
    "content", [_rows({}, {}, {}), json.dumps({k: [v] * 3 for k, v in ROW.items()}).encode()]
)
def test_more_rows_than_a_file_may_have_are_refused(accounts: Contract, content: bytes) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(content, accounts, limits=Limits(rows=2))

    assert refusal.value.code == "too-many-rows"
