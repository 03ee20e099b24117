from __future__ import annotations

import subprocess
import sys

import pytest

from common.contracts import parse_contract
from common.registry.routing import Canary
from common.tables import read_table
from producer.routing import account_of, route
from producer.uploads import Upload
from tests.producer.parts import CONTRACT, parcels_contract

IDS = [f"account {number}" for number in range(10_000)]
BY_RECIPIENT = CONTRACT.replace("group: file", "group: sender").replace(
    "  - {name: recipient,", "  - {name: sender, type: text, role: group}\n  - {name: recipient,"
)


def canary(percent: float) -> Canary:
    return Canary(version="2", percent=percent, since="2026-01-02T03:04:05+00:00")


def chosen(percent: float, model: str = "parcels") -> set[str]:
    return {key for key in IDS if route(key, model, canary(percent)) == "2"}


@pytest.mark.parametrize("model", ["parcels", "card-accounts", "purchase-cards", "x"])
def test_a_tenth_of_ten_thousand_accounts_is_within_one_per_cent_of_a_tenth(model: str) -> None:
    assert 900 <= len(chosen(10, model)) <= 1_100


def test_the_same_accounts_are_chosen_in_another_process_with_another_hash_seed() -> None:
    script = (
        "from producer.routing import route\n"
        "from common.registry.routing import Canary\n"
        "canary = Canary(version='2', percent=10, since='')\n"
        "print([n for n in range(10_000) if route(f'account {n}', 'parcels', canary)])"
    )
    here = chosen(10)
    expected = str([number for number, key in enumerate(IDS) if key in here])
    for seed in ("1", "2"):
        printed = subprocess.run(  # noqa: S603 - this interpreter, no shell
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        assert printed.strip() == expected


def test_an_account_that_is_with_the_canary_stays_when_its_share_grows() -> None:
    assert chosen(1) < chosen(10) < chosen(50) < chosen(100) == set(IDS)


def test_two_models_choose_other_accounts() -> None:
    both = chosen(10, "parcels") & chosen(10, "letters")
    assert 50 <= len(both) <= 150  # a tenth of a tenth: the choices are independent


def upload(file_name: str | None = None, content: bytes = b"x") -> Upload:
    return Upload(content=content, media_type=None, file_name=file_name)


def test_the_clients_own_word_comes_before_the_files_name_and_that_before_its_content() -> None:
    contract = parcels_contract()
    named = account_of("A-1", upload("a.csv"), contract, {})
    assert named == account_of("A-1", upload("b.csv", b"y"), contract, {})
    by_name = account_of(None, upload("a.csv"), contract, {})
    assert by_name == account_of("", upload("a.csv", b"y"), contract, {})
    assert by_name != account_of(None, upload("b.csv"), contract, {})
    by_content = account_of(None, upload(), contract, {})
    assert by_content == account_of(None, upload(), contract, {})
    assert by_content != account_of(None, upload(content=b"y"), contract, {})
    assert len({named, by_name, by_content}) == 3


def test_a_group_that_is_one_in_the_whole_file_is_the_account() -> None:
    contract = parse_contract(BY_RECIPIENT, source="parcels.yaml")

    def key(*senders: str) -> str:
        rows = "".join(f"2026-01-02,1.50,barge,{sender}\n" for sender in senders)
        content = f"sent,weight,carrier,sender\n{rows}".encode()
        table = read_table(content, contract)
        assert len(table.lines) == len(senders)
        return account_of(None, upload(f"{len(senders)}.csv", content), contract, table.columns)

    assert key("Ana", "Ana") == key("Ana") == key("Ana", "") == "account Ana"
    assert key("Ana", "Rui") == "file 2.csv"
    assert key("", "", "") == "file 3.csv"
