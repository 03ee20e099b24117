"""No split leaks: a group is on one side only, and time runs from training to test."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from common.contracts import Contract, Split, parse_contract
from common.errors import PermanentError
from orchestration.extraction import TrainingFile
from orchestration.splits import folds, hold_out

CONTRACT = """\
family: parcels
title: Parcels
group: {group}
split: {split}
columns:
  - {{name: sent, type: date, role: time, required: true, formats: ["%Y-%m-%d"]}}
  - {{name: owner, type: category, role: {role}}}
  - {{name: weight, type: integer, role: feature, required: true}}
  - {{name: speed, type: category, role: label}}
recipe:
  - {{kind: number, column: weight}}
"""


def contract_of(group: str, split: Split) -> Contract:
    role = "group" if group == "owner" else "feature"
    text = CONTRACT.format(group=group, split=split.value, role=role)
    return parse_contract(text, source="parcels.yaml")


def file_of(name: str, first: date, owners: str) -> TrainingFile:
    """A row an owner, a day apart; weights number the rows of all files uniquely."""
    rows = range(len(owners))
    return TrainingFile(
        name=name,
        columns={
            "sent": [first + timedelta(days=day) for day in rows],
            "owner": [None if owner == "-" else owner for owner in owners],
            "weight": [ord(name) * 1000 + row for row in rows],
        },
        labels=["fast"] * len(owners),
    )


FILES = [
    file_of("c", date(2024, 3, 1), "xyzx-"),
    file_of("a", date(2024, 1, 1), "wxyz-"),
    file_of("b", date(2024, 2, 1), "vvvww"),
    file_of("d", date(2024, 4, 1), "uuttx"),
    file_of("e", date(2024, 5, 1), "sssrr"),
]


def weights(files: list[TrainingFile]) -> list[int]:
    return sorted(weight for file in files for weight in file.columns["weight"])


def test_every_file_is_held_out_once_and_never_on_both_sides() -> None:
    contract = contract_of("file", Split.GROUP)
    held: list[str] = []
    for part in folds(contract, FILES, 3, seed=1):
        train, test = ({file.name for file in side} for side in (part.train, part.test))
        assert train.isdisjoint(test)
        assert train | test == set("abcde")
        held += test
    assert sorted(held) == list("abcde")


def test_rows_of_one_group_stay_together_over_files() -> None:
    contract = contract_of("owner", Split.GROUP)
    judged: list[int] = []
    for part in folds(contract, FILES, 4, seed=1):
        sides = [
            {owner for file in side for owner in file.columns["owner"] if owner}
            for side in (part.train, part.test)
        ]
        assert sides[0].isdisjoint(sides[1])
        assert sorted(weights(part.train) + weights(part.test)) == weights(FILES)
        judged += weights(part.test)
    assert sorted(judged) == weights(FILES)


def test_rows_keep_their_own_cells_when_a_file_is_torn() -> None:
    contract = contract_of("owner", Split.GROUP)
    whole = {
        weight: owner
        for file in FILES
        for weight, owner in zip(file.columns["weight"], file.columns["owner"], strict=True)
    }
    part = hold_out(contract, FILES, seed=3)
    for file in [*part.train, *part.test]:
        assert len(file.labels) == len(file.columns["weight"])
        for weight, owner in zip(file.columns["weight"], file.columns["owner"], strict=True):
            assert whole[weight] == owner


def test_the_latest_files_are_held_out_by_time_whatever_their_order() -> None:
    contract = contract_of("file", Split.TIME)
    part = hold_out(contract, FILES, seed=1)
    assert [file.name for file in part.test] == ["e"]
    assert [file.name for file in part.train] == ["a", "b", "c", "d"]


def test_the_end_of_a_single_file_is_held_out_by_time() -> None:
    contract = contract_of("file", Split.TIME)
    part = hold_out(contract, [file_of("a", date(2024, 1, 1), "xxxxxyyyyy")], seed=1)
    assert max(part.train[0].columns["sent"]) < min(part.test[0].columns["sent"])
    assert (len(part.train[0].labels), len(part.test[0].labels)) == (8, 2)


def test_a_split_depends_on_its_seed_and_on_nothing_else() -> None:
    contract = contract_of("file", Split.GROUP)
    again = [msgspec.json.encode(hold_out(contract, FILES[::-1], seed=1).test) for _ in range(2)]
    assert again[0] == again[1] == msgspec.json.encode(hold_out(contract, FILES, seed=1).test)
    names = {hold_out(contract, FILES, seed=seed).test[0].name for seed in range(20)}
    assert len(names) > 1


def test_one_group_alone_cannot_be_split() -> None:
    with pytest.raises(PermanentError, match="one group"):
        hold_out(contract_of("file", Split.GROUP), FILES[:1], seed=1)


def test_one_day_alone_cannot_be_split() -> None:
    single = FILES[0].rows([0])
    with pytest.raises(PermanentError, match="earlier or a later"):
        hold_out(contract_of("file", Split.TIME), [single], seed=1)
