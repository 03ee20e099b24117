"""An encoding is right when its text makes sense under the contract."""

from __future__ import annotations

import codecs

import pytest

from common.contracts import Contract
from common.tables import Purpose, UnreadableFile, read_table
from tests.common.tables.conftest import (
    HEADER,
    PURCHASES,
    account_row,
    account_text,
    without_label,
)

ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "mac_roman",
    "cp1252",
    "latin-1",
    "cp850",
    "cp1250",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_known_label_is_spelt_right_whatever_the_encoding(
    accounts: Contract, encoding: str
) -> None:
    content = account_text([account_row(), account_row(label="AUTO PEÇAS")]).encode(encoding)

    table = read_table(content, accounts, purpose=Purpose.TRAINING)

    assert table.columns["merchant_group"] == ["SERVIÇO", "AUTO PEÇAS"]


def test_the_label_that_latin_1_and_cp1252_get_wrong_is_mac_roman(accounts: Contract) -> None:
    content = (
        account_text([account_row(label="SERVI?O")]).encode("ascii").replace(b"I?O", b"I\x82O")
    )

    table = read_table(content, accounts, purpose=Purpose.TRAINING)

    assert table.dialect.encoding == "mac_roman"
    assert table.columns["merchant_group"] == ["SERVIÇO"]


@pytest.mark.parametrize("encoding", ["utf-8", "mac_roman", "cp1252", "cp850"])
@pytest.mark.parametrize(
    "cities", [("SÃO PAULO",), ("São Gonçalo", "GOIÂNIA"), ("JOÃO PESSOA", "Maceió")], ids=str
)
def test_cities_tell_the_encoding_when_the_label_is_not_there(
    accounts: Contract, encoding: str, cities: tuple[str, ...]
) -> None:
    rows = [without_label(account_row(city=city)) for city in cities]
    content = account_text(rows, header=without_label(HEADER)).encode(encoding)

    table = read_table(content, accounts)

    assert table.columns["merchant_city"] == list(cities)


def test_a_dash_between_spaces_is_cp1252_and_no_letter_of_another_encoding(
    purchases: Contract,
) -> None:
    row = b"28/04/17;12.50;pulse \x96 horizon;Books;Local Services\n"

    table = read_table(PURCHASES.encode() + b"\n" + row, purchases)

    assert table.columns["merchant_name"] == ["pulse \u2013 horizon"]
    assert table.dialect.encoding == "cp1252"


def test_a_curly_apostrophe_and_a_pound_are_cp1252(purchases: Contract) -> None:
    row = b"28/04/17;\xa312.50;driver\x92s rest;Books;Local Services\n"

    table = read_table(PURCHASES.encode() + b"\n" + row, purchases)

    assert table.columns["merchant_name"] == ["driver\u2019s rest"]
    assert str(table.columns["amount"][0]) == "12.50"


def test_one_damaged_byte_costs_its_row_and_not_the_file(accounts: Contract) -> None:
    rows = [account_row(city="SÃO PAULO"), account_row(city="GOIÂNIA"), account_row(city="BEL?M")]
    content = account_text(rows).encode("utf-8").replace(b"BEL?M", b"BEL\xc3M")

    table = read_table(content, accounts)

    assert table.lines == [2, 3]
    assert [(v.line, v.code) for v in table.violations] == [(4, "unreadable-character")]


def test_accents_in_two_code_points_become_one_spelling(accounts: Contract) -> None:
    content = account_text([account_row(city="SA\u0303O PAULO")]).encode("utf-8")

    assert read_table(content, accounts).columns["merchant_city"] == ["S\u00c3O PAULO"]


def test_a_declared_charset_settles_what_the_text_leaves_open(accounts: Contract) -> None:
    """Byte 9A is a letter that fits its word in both encodings: ö in Mac Roman, š in cp1252."""
    content = account_text([account_row(label="VAREJO", city="Köln")]).encode("mac_roman")

    table = read_table(content, accounts, media_type="text/csv; charset=macintosh")

    assert table.columns["merchant_city"] == ["Köln"]
    assert read_table(content, accounts).columns["merchant_city"] == ["K\u0161ln"]


def test_a_broken_promise_of_utf_16_is_unreadable(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile, match="byte") as refusal:
        read_table(codecs.BOM_UTF16_LE + b"\x00\xd8\x00", accounts)

    assert refusal.value.code == "unreadable-file"
