"""Delimiters, quotes, line ends, preambles, footers: line numbers are the client's own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from common.contracts import Contract, recipe_columns
from common.tables import Limits, UnreadableFile, read_table
from tests.common.tables.conftest import HEADER, PURCHASES, account_row, account_text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=repr)
def test_any_line_end_counts_as_one_line(accounts: Contract, end: str) -> None:
    table = read_table(account_text([account_row(), account_row()], end=end).encode(), accounts)

    assert table.lines == [2, 3]


def test_mixed_line_ends_and_blank_lines_keep_physical_line_numbers(accounts: Contract) -> None:
    text = f"{HEADER}\r\n{account_row('1')}\r{account_row('2')}\n\n  \n{account_row('x')}"

    table = read_table(text.encode(), accounts)

    assert table.lines == [2, 3]
    assert [v.line for v in table.violations] == [6]
    assert table.rows_read == 3


@pytest.mark.parametrize("last", ["\r", "\r\n"], ids=["mixed", "alike"])
def test_separators_of_unicode_end_no_line(accounts: Contract, last: str) -> None:
    rows = [account_row(city="SAO\u2028PAULO"), account_row(city="SAO\u0085PAULO"), account_row()]

    table = read_table(f"{account_text(rows).rstrip()}{last}".encode(), accounts)

    assert table.rows_read == 3
    assert table.lines[-1] == 4


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_delimiter_is_recognised_by_the_headings(purchases: Contract, delimiter: str) -> None:
    text = f"{PURCHASES}\n01/02/17;5.00;shell;Books;Local Services\n".replace(";", delimiter)

    table = read_table(text.encode(), purchases)

    assert table.columns["merchant_name"] == ["shell"]
    assert table.dialect.delimiter == delimiter


def test_padded_headings_and_cells_are_stripped(purchases: Contract) -> None:
    text = f"{PURCHASES.replace(';', '; ')}\n01/02/17; 5.00 ; shell  ;;CYP&F  \n"

    table = read_table(text.encode(), purchases)

    assert table.columns["merchant_name"] == ["shell"]
    assert table.columns["directorate"] == ["CYP&F"]


def test_quoted_cells_hold_delimiters_quotes_and_line_ends(purchases: Contract) -> None:
    text = (
        '"TRANS DATE","ORIGINAL GROSS AMT","MERCHANT NAME"\n'
        '"01/02/17","1,234.50","dunelm, ""soft"" ltd"\n'
        '01/02/17,2.00,"two\nlines"\n'
        "01/02/17,3.00,plain\n"
    )

    table = read_table(text.encode(), purchases)

    assert table.columns["merchant_name"] == ['dunelm, "soft" ltd', "two\nlines", "plain"]
    assert table.columns["amount"] == [Decimal("1234.50"), Decimal("2.00"), Decimal("3.00")]
    assert table.lines == [2, 3, 5]


@pytest.mark.parametrize("city", ['"SAO PAULO', '"SAO "PAULO"', '"SAO PAULO" SP'])
def test_a_stray_quote_costs_its_own_row_and_no_other(accounts: Contract, city: str) -> None:
    rows = [account_row("1"), account_row("2", city=city), account_row("3"), account_row("4")]

    table = read_table(account_text(rows).encode(), accounts)

    assert table.lines == [2, 4, 5]
    assert [(v.line, v.code) for v in table.violations] == [(3, "malformed-quotes")]


def test_two_stray_quotes_do_not_swallow_what_stands_between(accounts: Contract) -> None:
    stray = account_row(city='"SAO PAULO')

    table = read_table(account_text([stray, account_row(), stray]).encode(), accounts)

    assert table.lines == [3]
    assert [v.line for v in table.violations] == [2, 4]


def test_a_quote_that_closes_in_another_column_of_another_row_was_a_stray_one(
    accounts: Contract,
) -> None:
    rows = [account_row(city='"SAO PAULO'), account_row(), account_row(label='SERVICO"')]

    table = read_table(account_text(rows).encode(), accounts)

    assert table.lines == [3, 4]
    assert [(v.line, v.code) for v in table.violations] == [(2, "malformed-quotes")]


def test_a_quoted_cell_covers_a_bounded_number_of_lines(accounts: Contract) -> None:
    content = account_text([account_row(), account_row(city='"A\nB\nC\nD"')]).encode()

    within = read_table(content, accounts, limits=Limits(quoted_lines=4))
    beyond = read_table(content, accounts, limits=Limits(quoted_lines=3))

    assert within.lines == [2, 3]
    assert beyond.lines == [2]
    assert (beyond.violations[0].line, beyond.violations[0].code) == (3, "malformed-quotes")


def test_a_quotation_mark_inside_a_word_is_a_character(accounts: Contract) -> None:
    table = read_table(account_text([account_row(city='BAR 19"')]).encode(), accounts)

    assert table.columns["merchant_city"] == ['BAR 19"']


def test_a_preamble_is_skipped_and_a_footer_is_rejected_by_line(accounts: Contract) -> None:
    preamble = "Extrato do cartão\r\nConta;123\r\n\r\n"
    text = preamble + account_text([account_row("1"), account_row("2"), "Total;;3,00"])

    table = read_table(text.encode("mac_roman"), accounts)

    assert table.dialect.header_line == 4
    assert table.lines == [5, 6]
    (violation,) = table.violations
    assert (violation.line, violation.code, violation.found) == (7, "wrong-width", "3 cells")


def test_empty_cells_behind_the_headings_are_no_fault_and_others_are(accounts: Contract) -> None:
    rows = [account_row() + ";;", account_row() + ";;x", account_row().rpartition(";")[0]]

    table = read_table(account_text(rows).encode(), accounts)

    assert table.lines == [2]
    assert [(v.line, v.code) for v in table.violations] == [(3, "wrong-width"), (4, "wrong-width")]


def test_a_row_of_separators_alone_is_one_violation(purchases: Contract) -> None:
    text = f"{PURCHASES}\n01/02/17;5.00;shell;;\n;;;;\n"

    table = read_table(text.encode(), purchases)

    assert [(v.line, v.column, v.code) for v in table.violations] == [(3, None, "empty-row")]


def test_unknown_columns_are_passed_over_and_optional_ones_may_be_missing(
    accounts: Contract,
) -> None:
    text = "humor;data;valor;cidade_estabelecimento\nbom;4.12.2019;31;OSASCO\n"

    table = read_table(text.encode(), accounts)

    absent = table.columns.keys() - {"transaction_date", "amount", "merchant_city"}
    assert table.columns.keys() == set(recipe_columns(accounts))
    assert all(table.columns[name] == [None] for name in absent)


@pytest.mark.parametrize(
    "header",
    ["transaction_date;amount;merchant_city", "DATA;Valor;Cidade Estabelecimento"],
)
def test_headings_are_known_by_name_and_alias_in_any_case(accounts: Contract, header: str) -> None:
    assert read_table(f"{header}\n4.12.2019;31;OSASCO\n".encode(), accounts).rows_read == 1


def test_a_column_named_twice_is_refused(accounts: Contract) -> None:
    text = "data;valor;amount;cidade_estabelecimento\n4.12.2019;31;32;OSASCO\n"

    with pytest.raises(UnreadableFile) as refusal:
        read_table(text.encode(), accounts)

    assert refusal.value.code == "duplicate-header"
    assert refusal.value.found == "'valor', 'amount'"


def test_a_file_without_its_headings_says_what_was_looked_for_and_found(
    accounts: Contract,
) -> None:
    text = "Datum;Betrag;Empfänger\n02.03.2018;-17,22;REWE\n"

    with pytest.raises(UnreadableFile) as refusal:
        read_table(text.encode(), accounts)

    assert refusal.value.code == "no-header"
    assert "'valor' (or 'amount')" in refusal.value.looked_for
    assert "'Datum', 'Betrag', 'Empfänger'" in refusal.value.found
    assert "line 1" in refusal.value.found


def test_the_first_row_of_a_headerless_file_is_never_quoted(accounts: Contract) -> None:
    text = "27 Feb 2018;UMC;7,80;SECRET SHOP\n28 Feb 2018;UMC;9,80;OTHER SHOP\n"

    with pytest.raises(UnreadableFile) as refusal:
        read_table(text.encode(), accounts)

    assert "4 cells" in refusal.value.found
    assert "SECRET" not in refusal.value.message + refusal.value.found


def test_headings_below_the_bound_are_not_looked_for(accounts: Contract) -> None:
    text = "x\n" * 3 + account_text([account_row()])

    assert read_table(text.encode(), accounts, limits=Limits(header_lines=4)).rows_read == 1
    with pytest.raises(UnreadableFile, match="first 3 lines"):
        read_table(text.encode(), accounts, limits=Limits(header_lines=3))


def test_headings_alone_are_no_good_row(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(account_text([]).encode(), accounts)

    assert (refusal.value.code, refusal.value.rows_read) == ("no-good-row", 0)


def test_a_file_of_bad_rows_alone_carries_their_violations(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(account_text([account_row("x"), account_row("y")]).encode(), accounts)

    assert refusal.value.code == "no-good-row"
    assert [v.line for v in refusal.value.violations] == [2, 3]


def test_more_lines_than_a_file_may_have_are_refused(accounts: Contract) -> None:
    content = account_text([account_row()] * 3).encode()

    with pytest.raises(UnreadableFile) as refusal:
        read_table(content, accounts, limits=Limits(rows=2))

    assert refusal.value.code == "too-many-rows"
