"""What a file is: by its first bytes, by its declared type, by its name."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from common.contracts import Contract
from common.tables import Limits, UnreadableFile, read_table
from tests.common.tables.conftest import account_row, account_text

ACCOUNT = account_text([account_row()]).encode("mac_roman")


def test_gzip_is_recognised_by_its_bytes_in_one_member_or_many(accounts: Contract) -> None:
    whole = read_table(gzip.compress(ACCOUNT), accounts)
    parts = read_table(gzip.compress(ACCOUNT[:50]) + gzip.compress(ACCOUNT[50:]), accounts)

    assert whole.dialect.is_gzipped
    assert whole.columns == parts.columns


def test_a_bomb_is_not_unpacked_beyond_the_bound(accounts: Contract) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=1)
    tracemalloc.start()

    with pytest.raises(UnreadableFile) as refusal:
        read_table(bomb, accounts, limits=Limits(unpacked_bytes=1024 * 1024))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal.value.code == "too-large-unpacked"
    assert peak < 8 * 1024 * 1024


def test_a_plain_file_has_the_same_bound(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(ACCOUNT, accounts, limits=Limits(unpacked_bytes=len(ACCOUNT) - 1))

    assert refusal.value.code == "too-large-unpacked"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty-file", "empty"),
        (b" \r\n\t ", "empty-file", "empty"),
        (gzip.compress(b""), "empty-file", "empty"),
        (gzip.compress(ACCOUNT)[:-9], "unreadable-file", "cut short"),
        (b"\x1f\x8b\x08\x00junk", "unreadable-file", "gzip"),
        (gzip.compress(gzip.compress(ACCOUNT)), "unsupported-media-type", "inside a gzip"),
        (b"PK\x03\x04 sheet", "unsupported-media-type", "ZIP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unsupported-media-type", "Excel"),
        (b"%PDF-1.7", "unsupported-media-type", "PDF"),
        (b"\x89PNG\r\n", "unsupported-media-type", "PNG"),
        (b"OFXHEADER:100\r\n\r\n<OFX></OFX>", "unsupported-media-type", "OFX"),
        (b'<?xml version="1.0"?>\n<?OFX V?>\n<OFX/>', "unsupported-media-type", "OFX"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><a/>', "unsupported-media-type", "XML"),
        (b"<!DOCTYPE html><html>", "unsupported-media-type", "HTML"),
        (b"\n <HTML><body>", "unsupported-media-type", "HTML"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_table_is_named(
    accounts: Contract, content: bytes, code: str, words: str
) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(content, accounts)

    assert refusal.value.code == code
    assert words in refusal.value.message


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "text/html; charset=utf-8"])
def test_a_foreign_media_type_is_refused(accounts: Contract, media_type: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_table(ACCOUNT, accounts, media_type=media_type)

    assert refusal.value.code == "unsupported-media-type"


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/csv",
        "TEXT/CSV; header=present",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/vnd.ms-excel",
        "nonsense",
    ],
)
def test_text_is_read_whatever_a_client_calls_it(
    accounts: Contract, media_type: str | None
) -> None:
    table = read_table(ACCOUNT, accounts, media_type=media_type, file_name="statement.xls")

    assert table.rows_read == 1


def test_a_name_tells_json_that_does_not_look_like_it(accounts: Contract) -> None:
    with pytest.raises(UnreadableFile, match="JSON"):
        read_table(b"oops", accounts, file_name="ROWS.JSON")
