"""No split leaks: a group is on one side only, and time runs from training to test."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from common.contracts import Contract, Split, parse_contract
from common.errors import PermanentError
from orchestration.extraction import TrainingFile
from orchestration.splits import HELD_OUT_SHARE, divide, folds, freeze, hold_out

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


FILES_IN_ORDER = sorted(FILES, key=lambda file: file.name)


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
    part = hold_out(contract, FILES)
    for file in [*part.train, *part.test]:
        assert len(file.labels) == len(file.columns["weight"])
        for weight, owner in zip(file.columns["weight"], file.columns["owner"], strict=True):
            assert whole[weight] == owner


def many(count: int) -> list[TrainingFile]:
    return [
        msgspec.structs.replace(file_of("a", date(2024, 1, 1), "xyz"), name=f"account-{number}")
        for number in range(count)
    ]


def names(files: list[TrainingFile]) -> set[str]:
    return {file.name for file in files}


def test_about_a_quarter_of_many_groups_is_held_out() -> None:
    part = hold_out(contract_of("file", Split.GROUP), many(400))
    assert len(part.test) / 400 == pytest.approx(HELD_OUT_SHARE, abs=0.06)
    assert names(part.train).isdisjoint(names(part.test))


def test_the_same_groups_are_held_out_in_every_process_and_release() -> None:
    """Registered versions have not learnt just these; other ones would have been learnt."""
    held = names(hold_out(contract_of("file", Split.GROUP), many(20)).test)
    assert held == {"account-17", "account-2", "account-6", "account-7"}


def test_files_that_arrive_later_move_no_group_to_the_other_side() -> None:
    contract = contract_of("file", Split.GROUP)
    before, after = (hold_out(contract, many(count)) for count in (60, 200))
    assert names(before.test) <= names(after.test)
    assert names(before.train) <= names(after.train)


def test_a_group_never_becomes_held_out_because_others_arrive() -> None:
    """The only group held out of few may come to be learnt; no learnt one is ever judged on."""
    contract = contract_of("file", Split.GROUP)
    learnt: set[str] = set()
    for count in range(2, 60):
        part = hold_out(contract, many(count))
        assert part.train
        assert part.test
        if count > 8:
            assert learnt.isdisjoint(names(part.test))
        learnt |= names(part.train)


def test_another_purpose_holds_out_other_groups() -> None:
    contract = contract_of("file", Split.GROUP)
    files = many(100)
    inner = divide(contract, files, freeze(contract, files, purpose="inner"))
    assert names(inner.test) != names(hold_out(contract, files).test)


def test_a_files_own_group_decides_instead_of_its_name() -> None:
    contract = contract_of("file", Split.GROUP)
    files = many(40)
    twin = msgspec.structs.replace(files[0], name="feedback-1", group=files[0].name)
    part = hold_out(contract, [*files, twin])
    assert ("feedback-1" in names(part.test)) is (files[0].name in names(part.test))


def test_whole_last_months_are_held_out_by_time_whatever_the_files_order() -> None:
    contract = contract_of("file", Split.TIME)
    part = hold_out(contract, FILES)
    assert part.kind == "time (from 2024-04-01)"
    assert names(part.test) == {"d", "e"}
    assert names(part.train) == {"a", "b", "c"}


def test_later_months_move_the_boundary_forward_only() -> None:
    contract = contract_of("file", Split.TIME)
    boundaries = [freeze(contract, FILES_IN_ORDER[:count]).since for count in range(1, 6)]
    assert all(boundaries)
    assert boundaries == sorted(boundaries, key=str)


def test_the_day_to_hold_out_from_can_be_named() -> None:
    contract = contract_of("file", Split.TIME)
    part = divide(contract, FILES, freeze(contract, FILES, since=date(2024, 2, 3)))
    assert min(day for file in part.test for day in file.columns["sent"]) == date(2024, 2, 3)
    assert max(day for file in part.train for day in file.columns["sent"]) == date(2024, 2, 2)


def test_a_day_to_hold_out_from_means_nothing_to_a_split_by_group() -> None:
    with pytest.raises(PermanentError, match="leave the day out"):
        freeze(contract_of("file", Split.GROUP), FILES, since=date(2024, 2, 3))


def test_the_end_of_a_single_short_file_is_held_out_by_time() -> None:
    contract = contract_of("file", Split.TIME)
    part = hold_out(contract, [file_of("a", date(2024, 1, 1), "xxxxyyyy")])
    assert max(part.train[0].columns["sent"]) < min(part.test[0].columns["sent"])
    assert (len(part.train[0].labels), len(part.test[0].labels)) == (6, 2)


def test_a_split_depends_on_the_names_and_on_nothing_else() -> None:
    contract = contract_of("file", Split.GROUP)
    assert names(hold_out(contract, many(50)[::-1]).test) == names(
        hold_out(contract, many(50)).test
    )


def test_one_group_alone_cannot_be_split() -> None:
    with pytest.raises(PermanentError, match="one group"):
        hold_out(contract_of("file", Split.GROUP), FILES[:1])


def test_one_day_alone_cannot_be_split() -> None:
    single = FILES[0].rows([0])
    with pytest.raises(PermanentError, match="earlier or a later"):
        hold_out(contract_of("file", Split.TIME), [single])
