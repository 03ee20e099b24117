"""Sample files are reproducible, readable under their contract, and have something to learn."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from common.contracts import Contract, shipped_contracts
from common.errors import PermanentError
from common.tables import read_table
from orchestration.extraction import extract
from orchestration.samples import generate, shipped_profile
from orchestration.samples.profile import Habit


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(contract: Contract) -> None:
    profile = shipped_profile(contract.family)
    first = generate(contract, profile, files=3, seed=1)
    assert generate(contract, profile, files=3, seed=1) == first
    assert generate(contract, profile, files=5, seed=1)[:3] == first
    assert generate(contract, profile, files=3, seed=2) != first


def test_every_row_is_good_and_every_label_is_spelt_as_in_the_contract(
    contract: Contract, sample_folder: Path
) -> None:
    for path in sample_folder.iterdir():
        table = read_table(path.read_bytes(), contract, file_name=path.name)
        assert table.violations == []
        assert table.rows_read == len(table.lines) > 0
    found = extract(contract, sample_folder)
    labels = {label for file in found.files for label in file.labels}
    assert labels <= set(contract.label.values)
    assert found.rows == found.rows_read - found.unlabelled - sum(found.violations.values())


def test_accounts_come_in_the_dialect_of_their_source() -> None:
    contract = shipped_contracts()["card-accounts"]
    made = generate(contract, shipped_profile(contract.family), files=8, seed=1)
    for sample in made:
        assert b"SERVI\x82O" in sample.content
        assert sample.content.count(b"\r\n") == sample.content.count(b"\n") == sample.rows + 1
    together = b"".join(sample.content for sample in made)
    assert b"; valor ;" in together
    assert b"4,53E+11;" in together
    assert b";1.05.2019;" in together
    assert re.search(rb";[A-Z]{2} ;", together)


def test_purchases_drift_from_one_dialect_to_the_other() -> None:
    contract = shipped_contracts()["purchase-cards"]
    made = generate(contract, shipped_profile(contract.family), files=4, seed=1)
    headings = [sample.content.split(b"\n")[0] for sample in made]
    assert [heading.count(b";") for heading in headings] == [10, 0, 10, 0]
    assert [heading.count(b", ") for heading in headings] == [0, 13, 0, 13]
    assert any(b'"1,' in sample.content for sample in made)


def test_people_differ_in_their_habits(contract: Contract, sample_folder: Path) -> None:
    files = extract(contract, sample_folder).files
    shares = [Counter(file.labels).most_common(1)[0][1] / len(file.labels) for file in files]
    mixes = [Counter(file.labels) for file in files]
    assert max(shares) < 0.9
    assert len({mix.most_common(1)[0][0] for mix in mixes} | {mixes[0].most_common(2)[1][0]}) > 1


def test_a_habit_for_a_label_that_the_contract_does_not_know_is_refused(contract: Contract) -> None:
    profile = shipped_profile(contract.family)
    habits = {**profile.habits, "UNKNOWN": Habit()}
    with pytest.raises(PermanentError, match="UNKNOWN"):
        generate(contract, msgspec.structs.replace(profile, habits=habits), files=1, seed=1)


def test_a_family_without_a_profile_says_what_to_write() -> None:
    with pytest.raises(PermanentError, match="nobodys-family") as refused:
        shipped_profile("nobodys-family")
    assert refused.value.code == "no-profile"
