"""Money is exact, dates are the contract's, and a bad cell is told with its place."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from common.contracts import Contract
from common.tables import Purpose, Table, read_table
from tests.common.tables.conftest import PURCHASES, account_row, account_text


def _amounts(contract: Contract, *cells: str) -> Table:
    return read_table(account_text([account_row(cell) for cell in cells]).encode(), contract)


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("31", "31"),
        ("150,01", "150.01"),
        ("1.577,60", "1577.60"),
        ("1.234.567,8", "1234567.8"),
        ("1.234", "1234"),
        ("-5", "-5"),
        ("-5,50", "-5.50"),
        ("+50,00", "50.00"),
        ("5,00-", "-5.00"),
        ("(5,00)", "-5.00"),
        ("R$ 1.234,56", "1234.56"),
        ("-R$ 7,00", "-7.00"),
        ("12,30 BRL", "12.30"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"),
        ("\u22127,5", "-7.5"),
        (",50", "0.50"),
        ("0,1000", "0.1000"),
        (" -   ", "0"),
        ("123456789012345678,99", "123456789012345678.99"),
    ],
)
def test_an_amount_is_read_exactly(accounts: Contract, cell: str, amount: str) -> None:
    table = _amounts(accounts, "9,95", cell)

    assert str(table.columns["amount"][1]) == amount


@pytest.mark.parametrize(
    "cell",
    [
        "twelve",
        "1e5",
        "4,53E+11",
        "NaN",
        "Infinity",
        "1_000",
        "1.23.456",
        "1.234,56,78",
        "--5",
        "(-5)",
        "(5",
        "5)",
        "٣",
        "0x1F",
        "1" * 40,
    ],
)
def test_what_is_no_amount_is_a_violation_and_not_a_guess(accounts: Contract, cell: str) -> None:
    table = _amounts(accounts, "9,95", cell)

    (violation,) = table.violations
    assert (violation.line, violation.column, violation.code) == (3, "valor", "not-a-decimal")
    assert violation.expected == "a number such as 1.234,56"
    assert table.columns["amount"] == [Decimal("9.95")]


def test_the_style_is_what_the_column_says_against_the_contracts_preference(
    accounts: Contract,
) -> None:
    table = _amounts(accounts, "1,234.56", "9.5", "1,234")

    assert table.dialect.decimal_marks["amount"] == "."
    assert table.columns["amount"] == [Decimal("1234.56"), Decimal("9.5"), Decimal(1234)]


@pytest.mark.parametrize(
    ("family", "amount"), [("accounts", Decimal(1234)), ("purchases", Decimal("1.234"))]
)
def test_the_contract_settles_what_can_be_read_two_ways(
    request: pytest.FixtureRequest, family: str, amount: Decimal
) -> None:
    contract = request.getfixturevalue(family)
    header = "transaction_date;amount;merchant_city;merchant_name"

    table = read_table(f"{header}\n2019-12-04;1.234;OSASCO;shell\n".encode(), contract)

    assert table.columns["amount"] == [amount]


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("4.12.2019", date(2019, 12, 4)),
        ("04.12.2019", date(2019, 12, 4)),
        ("4/12/2019", date(2019, 12, 4)),
        ("2019-12-04", date(2019, 12, 4)),
        ("2019-12-04T23:59:59Z", date(2019, 12, 4)),
        ("2019-12-04 00:00:00", date(2019, 12, 4)),
    ],
)
def test_a_date_is_read_padded_or_not_and_always_in_iso(
    accounts: Contract, cell: str, day: date
) -> None:
    table = read_table(account_text([account_row(day=cell)]).encode(), accounts)

    assert table.columns["transaction_date"] == [day]


def test_a_year_of_two_digits_is_of_this_age(purchases: Contract) -> None:
    text = f"{PURCHASES}\n22/12/16;1.00;shell;;\n22/12/98;1.00;shell;;\n"

    days = read_table(text.encode(), purchases).columns["transaction_date"]

    assert days == [date(2016, 12, 22), date(1998, 12, 22)]


@pytest.mark.parametrize(
    "cell", ["31.02.2019", "12.2019", "4.12.19", "yesterday", "43803", "0.0.0"]
)
def test_what_is_no_date_is_a_violation(accounts: Contract, cell: str) -> None:
    rows = [account_row(), account_row(day=cell)]

    (violation,) = read_table(account_text(rows).encode(), accounts).violations

    assert (violation.line, violation.column, violation.code) == (3, "data", "not-a-date")
    assert f"'{cell}'" in violation.message
    assert "04.12.2019" in str(violation.expected)


def test_a_date_out_of_bounds_is_a_violation(accounts: Contract) -> None:
    rows = [account_row(), account_row(day="4.12.1919")]

    (violation,) = read_table(account_text(rows).encode(), accounts).violations

    assert (violation.code, violation.expected) == ("below-minimum", "1990-01-01 or more")


def test_an_empty_required_cell_is_a_violation_and_an_empty_city_is_none(
    accounts: Contract,
) -> None:
    rows = [account_row(city=""), account_row("")]

    table = read_table(account_text(rows).encode(), accounts)

    assert table.columns["merchant_city"] == [None]
    assert [(v.line, v.code) for v in table.violations] == [(3, "missing-value")]


def test_a_spelling_of_nothing_is_nothing(purchases: Contract) -> None:
    text = f"{PURCHASES}\n22/12/16;1.00;shell;;#N/D\n"

    assert read_table(text.encode(), purchases).columns["directorate"] == [None]


@pytest.mark.parametrize(("age", "shape"), [("abc", "3 characters (letters)"), ("7", None)])
def test_personal_data_is_checked_and_never_shown(
    accounts: Contract, age: str, shape: str | None
) -> None:
    rows = [account_row(), account_row(age=age)]

    table = read_table(account_text(rows).encode(), accounts)

    assert "age" not in table.columns
    assert [v.found for v in table.violations] == ([shape] if shape else [])
    assert all(age not in v.message for v in table.violations)


def test_every_bad_cell_of_a_row_is_told_and_the_row_counts_once(accounts: Contract) -> None:
    rows = [account_row(), account_row("x", day="y")]

    table = read_table(account_text(rows).encode(), accounts)

    assert [(v.line, v.column) for v in table.violations] == [(3, "data"), (3, "valor")]
    assert (table.rows_read, table.rows_rejected) == (2, 1)


def test_a_long_cell_is_shortened_in_its_violation(accounts: Contract) -> None:
    (violation,) = _amounts(accounts, "1", "x" * 500).violations

    assert len(str(violation.found)) < 50


def test_controls_in_a_cell_are_a_violation_shown_escaped(accounts: Contract) -> None:
    rows = [account_row(), account_row(city="SAO\x00PAULO")]

    (violation,) = read_table(account_text(rows).encode(), accounts).violations

    assert violation.code == "unreadable-character"
    assert violation.found == "'SAO\\x00PAULO'"


def test_an_oversized_cell_is_a_violation(accounts: Contract) -> None:
    rows = [account_row(), account_row(city="S" * 5000), account_row(city=f'"{"S" * 200_000}"')]

    table = read_table(account_text(rows).encode(), accounts)

    assert [(v.line, v.code) for v in table.violations] == [
        (3, "oversized-cell"),
        (4, "oversized-cell"),
    ]


def test_training_wants_the_label_and_labelling_does_not_look_at_it(accounts: Contract) -> None:
    content = account_text([account_row(), account_row(label="")]).encode()

    labelling = read_table(content, accounts)
    training = read_table(content, accounts, purpose=Purpose.TRAINING)

    assert "merchant_group" not in labelling.columns
    assert labelling.lines == [2, 3]
    assert training.columns["merchant_group"] == ["SERVIÇO"]
    assert [(v.line, v.code) for v in training.violations] == [(3, "missing-value")]
