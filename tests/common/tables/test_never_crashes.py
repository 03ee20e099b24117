"""Whatever the bytes: a table whose rows add up, or an unreadable file. Nothing else."""

from __future__ import annotations

import gzip
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts import Contract, shipped_contracts
from common.tables import Purpose, UnreadableFile, read_table
from tests.common.tables.conftest import PURCHASES, account_row, account_text

CONTRACTS = list(shipped_contracts().values())
MEDIA_TYPES = [None, "text/csv", "application/json", "application/x-ndjson", "text/csv; charset=x"]
SEEDS = [
    account_text([account_row(), account_row("1.577,60"), account_row(" -   ")]).encode(
        "mac_roman"
    ),
    f'{PURCHASES}\n"22/12/16";"1,234.50";"a ""b""";;x\n'.encode(),
    json.dumps(
        [{"transaction_date": "2019-12-04", "amount": 1.5, "merchant_city": "X", "age": 3}] * 2
    ).encode(),
    gzip.compress(account_text([account_row()]).encode()),
    account_text([account_row()]).encode("utf-16"),
]
PIECES = [
    b'"',
    b";",
    b",",
    b"\r",
    b"\n",
    b"\x00",
    b"\xff",
    b"\x82",
    b"\xc3",
    b"1e9",
    b"-",
    b"[",
    b"{",
]


def _must_be_answered(content: bytes, contract: Contract, media_type: str | None) -> None:
    answers: list[str] = []
    for purpose in Purpose:
        try:
            table = read_table(content, contract, media_type=media_type, purpose=purpose)
        except UnreadableFile as refusal:
            answers.append(refusal.message)
            continue
        rejected = {violation.line for violation in table.violations}
        assert rejected.isdisjoint(table.lines)
        assert len(table.lines) + len(rejected) == table.rows_read
        assert all(len(values) == len(table.lines) for values in table.columns.values())
        assert table.lines == sorted(table.lines)
    assert all(answer.endswith(".") for answer in answers)


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=400),
    contract=st.sampled_from(CONTRACTS),
    media_type=st.sampled_from(MEDIA_TYPES),
)
def test_arbitrary_bytes_are_answered(
    content: bytes, contract: Contract, media_type: str | None
) -> None:
    _must_be_answered(content, contract, media_type)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 6), st.sampled_from(PIECES) | st.binary(max_size=4)
        ),
        max_size=8,
    ),
    contract=st.sampled_from(CONTRACTS),
    media_type=st.sampled_from(MEDIA_TYPES),
)
def test_damaged_files_are_answered(
    seed: bytes,
    edits: list[tuple[float, int, bytes]],
    contract: Contract,
    media_type: str | None,
) -> None:
    content = seed
    for place, removed, put in edits:
        at = int(place * len(content))
        content = content[:at] + put + content[at + removed :]

    _must_be_answered(content, contract, media_type)


@settings(max_examples=200, deadline=None)
@given(
    cells=st.lists(st.text(max_size=12), min_size=1, max_size=6),
    contract=st.sampled_from(CONTRACTS),
)
def test_arbitrary_text_below_good_headings_is_answered(
    cells: list[str], contract: Contract
) -> None:
    header = "transaction_date;amount;merchant_city;merchant_name"
    rows = [f"2019-12-04;{cell};OSASCO;{cell}" for cell in cells]
    content = "\n".join([header, *rows]).encode("utf-8")

    _must_be_answered(content, contract, None)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(
                ["amount", "transaction_date", "merchant_city", "age", "merchant_name"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
                lambda inner: st.lists(inner, max_size=2),
                max_leaves=4,
            ),
        ),
        max_size=4,
    ),
    contract=st.sampled_from(CONTRACTS),
)
def test_arbitrary_json_rows_are_answered(
    rows: list[dict[str, object]], contract: Contract
) -> None:
    _must_be_answered(json.dumps(rows).encode(), contract, None)
    _must_be_answered("\n".join(map(json.dumps, rows)).encode(), contract, None)
