"""The figures agree with scikit-learn's."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import accuracy_score, f1_score

from orchestration.evaluation import Answers, figures, label_scores, pool

LABELS = ["bread", "tools", "books", "never right"]


def answers(seed: int) -> Answers:
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    truth = draw.choices(LABELS[:3], [5, 2, 1], k=80)
    said = [label if draw.random() < 0.6 else draw.choice(LABELS) for label in truth]
    return Answers(
        truth=truth,
        said=said,
        majority=["bread"] * 80,
        training_rows={"bread": 100, "tools": 50, "books": 49},
        features_seconds=0.8,
        predict_seconds=0.08,
    )


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(seed: int) -> None:
    given = answers(seed)
    found = figures(given)
    assert found.accuracy == pytest.approx(accuracy_score(given.truth, given.said))
    expected = f1_score(given.truth, given.said, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(expected)
    majority = f1_score(given.truth, given.majority, average="macro", zero_division=0)
    assert found.majority_macro_f1 == pytest.approx(majority)
    assert found.majority_accuracy == given.truth.count("bread") / 80


def test_common_labels_are_those_with_fifty_training_rows() -> None:
    given = answers(1)
    scores = label_scores(given.truth, given.said)
    expected = (scores["bread"] + scores["tools"]) / 2
    assert figures(given).macro_f1_common == pytest.approx(expected)


def test_costs_are_microseconds_a_row() -> None:
    found = figures(answers(1))
    assert (found.features_us, found.predict_us) == pytest.approx((10_000, 1_000))


def test_folds_are_judged_as_one() -> None:
    parts = [answers(1), answers(2)]
    pooled = pool(parts)
    assert pooled.truth == parts[0].truth + parts[1].truth
    assert figures(pooled).rows == 160
    assert pooled.training_rows == parts[0].training_rows
