"""Feedback outweighs the label it corrects, and never crosses to the other side of the split."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from common.contracts import parse_contract
from common.errors import PermanentError
from common.feedback import Feedback, write_feedback
from common.messages import PredictionId
from common.tables import Purpose, read_table
from orchestration.extraction import TrainingFile, labelled
from orchestration.feedback import FEEDBACK_WEIGHT, correct, read_feedback
from orchestration.splits import groups_of

CONTRACT = parse_contract(
    """\
family: parcels
title: Parcels
group: file
split: group
columns:
  - {name: sent, type: date, role: time, required: true, formats: ["%Y-%m-%d"]}
  - {name: weight, type: decimal, role: feature, required: true}
  - {name: speed, type: category, role: label, values: [fast, slow], closed: true}
recipe:
  - {kind: number, column: weight}
  - {kind: date, column: sent, parts: [month]}
""",
    source="parcels.yaml",
)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def file_of(name: str, text: str) -> TrainingFile:
    table = read_table(f"sent,weight,speed\n{text}".encode(), CONTRACT, purpose=Purpose.TRAINING)
    return labelled(name, table, CONTRACT)


FILES = [
    file_of("a.csv", "2024-01-01,1.50,fast\n2024-01-02,2.00,fast\n2024-01-03,3.00,slow\n"),
    file_of("b.csv", "2024-01-01,1.50,slow\n2024-01-04,9.00,slow\n"),
]


def about(weight: str, label: str, *, day: int = 1, group: str | None = None) -> Feedback:
    return Feedback(
        prediction_id=PredictionId("5b0b7e0a-0000-4000-8000-000000000001"),
        model="parcels",
        line=day + 1,
        label=label,
        row={"sent": f"2024-01-{day:02d}", "weight": weight},
        received=NOON,
        group=group,
    )


def test_the_corrected_row_gets_the_new_label_and_more_weight() -> None:
    found = correct(CONTRACT, FILES, [about("2", "slow", day=2)])
    first, second = found.files
    assert list(first.labels) == ["fast", "slow", "slow"]
    assert list(first.weights) == [1.0, FEEDBACK_WEIGHT, 1.0]
    assert list(second.labels) == list(FILES[1].labels)
    assert (found.replaced, found.added, found.unusable) == (1, 0, 0)


def test_a_group_tells_rows_that_look_alike_apart() -> None:
    of_both = correct(CONTRACT, FILES, [about("1.5", "slow")])
    assert [file.labels[0] for file in of_both.files] == ["slow", "slow"]
    assert of_both.replaced == 2
    of_one = correct(CONTRACT, FILES, [about("1.5", "fast", group="b.csv")])
    assert [file.labels[0] for file in of_one.files] == ["fast", "fast"]
    assert of_one.replaced == 1


def test_a_row_that_stood_in_no_file_is_added_under_its_group() -> None:
    found = correct(CONTRACT, FILES, [about("7.25", "slow", group="account-9.csv")])
    added = found.files[-1]
    assert (found.replaced, found.added) == (0, 1)
    assert groups_of(CONTRACT, added) == [("file", "account-9.csv")]
    assert list(added.weights) == [FEEDBACK_WEIGHT]
    again = read_table(found.contents[added.name], CONTRACT, file_name=added.name)
    assert again.lines == list(added.lines)


def test_without_a_group_the_prediction_is_the_group() -> None:
    found = correct(CONTRACT, FILES, [about("7.25", "slow")])
    assert groups_of(CONTRACT, found.files[-1]) == [("file", str(about("1", "slow").prediction_id))]


def test_what_the_contract_rejects_is_counted_and_not_learnt() -> None:
    unusable = [about("heavy", "slow"), about("7.25", "warp", day=2)]
    found = correct(CONTRACT, FILES, unusable)
    assert (found.replaced, found.added, found.unusable) == (0, 0, 2)
    assert found.files[0].labels == FILES[0].labels


def test_the_last_word_about_a_line_counts(tmp_path: Path) -> None:
    early, late = about("1.5", "fast"), about("1.5", "slow")
    late = msgspec.structs.replace(late, received=NOON + timedelta(minutes=1))
    other = msgspec.structs.replace(early, model="letters", line=5)
    (tmp_path / "1.ndjson").write_bytes(write_feedback([late, other]))
    (tmp_path / "2.ndjson").write_bytes(write_feedback([early]) + b"\nnot JSON\n")
    found, unreadable = read_feedback(tmp_path.iterdir(), "parcels")
    assert [(record.line, record.label) for record in found] == [(2, "slow")]
    assert unreadable == 1


def test_feedback_that_is_mostly_unreadable_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "1.ndjson").write_bytes(b"{}\n{}\n" + write_feedback([about("1.5", "fast")]))
    with pytest.raises(PermanentError, match="2 of 3") as refused:
        read_feedback(tmp_path.iterdir(), "parcels")
    assert refused.value.code == "unusable-feedback"
