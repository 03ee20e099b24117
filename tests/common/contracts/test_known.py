"""A family of one's own: a YAML in a folder, beside those that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts import known_contracts, shipped_contracts
from common.errors import PermanentError

SHIPPED = shipped_contracts()["card-accounts"].source_text


def test_without_a_folder_the_shipped_contracts_are_known() -> None:
    assert known_contracts() == shipped_contracts()


def test_a_folders_contracts_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "any name.yaml").write_text(SHIPPED.replace("card-accounts", "aaa-accounts"))
    (tmp_path / "notes.txt").write_text("not a contract")
    assert list(known_contracts(tmp_path)) == ["aaa-accounts", *shipped_contracts()]


def test_a_folders_contract_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SHIPPED.replace("Credit-card accounts", "Mine"))
    found = known_contracts(tmp_path)
    assert list(found) == list(shipped_contracts())
    assert found["card-accounts"].title == "Mine"
    assert shipped_contracts()["card-accounts"].title == "Credit-card accounts"


def test_two_contracts_of_one_family_in_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(SHIPPED)
    with pytest.raises(PermanentError, match=r"b\.yaml") as refused:
        known_contracts(tmp_path)
    assert refused.value.code == "two-contracts"


@pytest.mark.parametrize("folder", ["gone", "."])
def test_a_folder_without_contracts_is_a_mistake(tmp_path: Path, folder: str) -> None:
    with pytest.raises(PermanentError, match="Name a folder of contracts"):
        known_contracts(tmp_path / folder)
