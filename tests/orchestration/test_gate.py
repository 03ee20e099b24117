"""The gate's arithmetic: every reason to refuse, and none where there is none."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import f1_score

from orchestration.gate import RULES, Check, Said, Verdict, bootstrap, judge

LABELS = ["bread", "tools", "books"]
GROUPS = [f"account {number}" for number in range(20)]


def truth_of(rows: int, seed: int = 1) -> list[str]:
    return random.Random(seed).choices(LABELS, [5, 3, 2], k=rows)  # noqa: S311 - reproducible


def guess(truth: list[str], share: float, seed: int) -> list[str]:
    """Right for about ``share`` of the rows."""
    draw = random.Random(seed)  # noqa: S311 - reproducible
    return [label if draw.random() < share else draw.choice(LABELS) for label in truth]


def said(labels: list[str], milliseconds: float = 3.0) -> Said:
    return Said(labels=labels, milliseconds=milliseconds)


def verdict(
    truth: list[str],
    challenger: Said,
    champion: Said | None,
    groups: list[str] | None = None,
) -> Verdict:
    return judge(truth, groups, "bread", challenger=challenger, champion=champion, seed=7)


def failed(found: Verdict) -> list[str]:
    return [check.name for check in found.checks if not check.passed]


def named(found: Verdict, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


def test_a_clearly_better_challenger_is_promoted() -> None:
    truth = truth_of(2000)
    found = verdict(truth, said(guess(truth, 0.7, 1)), said(guess(truth, 0.4, 2)))
    assert found.promote
    assert failed(found) == []
    assert found.difference is not None
    whole, low, high = found.difference
    assert 0 < low < whole < high
    assert "better than the champion" in found.reason


def test_a_worse_challenger_is_refused_with_the_figures() -> None:
    truth = truth_of(2000)
    found = verdict(truth, said(guess(truth, 0.4, 1)), said(guess(truth, 0.7, 2)))
    assert not found.promote
    assert "better than the champion" in failed(found)
    assert "macro-F1" in found.reason
    assert "recall of frequent labels" in found.reason


def test_a_challenger_that_says_the_same_is_refused() -> None:
    truth = truth_of(500)
    same = said(guess(truth, 0.6, 1))
    found = verdict(truth, same, same)
    assert failed(found) == ["better than the champion"]
    assert found.difference == (0.0, 0.0, 0.0)


def test_a_gain_within_noise_is_refused() -> None:
    truth = truth_of(200)
    champion = guess(truth, 0.6, 1)
    wrong = next(at for at, label in enumerate(champion) if label != truth[at])
    challenger = [*champion]
    challenger[wrong] = truth[wrong]
    found = verdict(truth, said(challenger), said(champion))
    assert found.difference is not None
    assert found.difference[0] > 0
    assert failed(found) == ["better than the champion"]


def test_a_gain_in_one_group_alone_is_no_gain_for_new_groups() -> None:
    """Row by row the difference looks certain; group by group it hangs on a single one."""
    truth = truth_of(2000)
    groups = [GROUPS[at // 100] for at in range(2000)]
    champion = guess(truth, 0.5, 1)
    challenger = [*truth[:100], *champion[100:]]
    by_row = verdict(truth, said(challenger), said(champion))
    by_group = verdict(truth, said(challenger), said(champion), groups)
    assert by_row.promote
    assert failed(by_group) == ["better than the champion"]
    assert by_row.difference is not None
    assert by_group.difference is not None
    assert by_row.difference[0] == pytest.approx(by_group.difference[0])


def test_a_first_version_has_only_to_beat_the_majority_and_be_fast() -> None:
    truth = truth_of(300)
    assert verdict(truth, said(guess(truth, 0.5, 1)), None).promote
    dull = verdict(truth, said(["bread"] * 300), None)
    assert failed(dull) == ["better than the majority class"]
    assert dull.difference is None


def test_a_slow_challenger_is_refused_however_good() -> None:
    truth = truth_of(500)
    limit = RULES.milliseconds
    champion = said(guess(truth, 0.3, 1))
    assert verdict(truth, said(truth, limit), champion).promote
    assert failed(verdict(truth, said(truth, limit + 0.1), champion)) == ["latency share"]


def test_a_frequent_label_must_not_pay_for_the_others() -> None:
    truth = ["bread"] * 200 + ["tools"] * 200 + ["books"] * 60
    champion = ["bread"] * 400 + ["books"] * 60
    challenger = ["bread"] * 200 + ["tools"] * 200 + ["books"] * 45 + ["bread"] * 15
    found = verdict(truth, said(challenger), said(champion))
    assert failed(found) == ["recall of frequent labels"]
    assert named(found, "recall of frequent labels").found == "books -0.25"


@pytest.mark.parametrize(("rows", "is_frequent"), [(29, False), (30, True)])
def test_recall_is_watched_from_thirty_rows_on(rows: int, is_frequent: bool) -> None:  # noqa: FBT001
    truth = ["bread"] * 500 + ["books"] * rows
    champion = ["tools"] * 250 + ["bread"] * 250 + ["books"] * rows
    challenger = ["bread"] * 500 + ["bread"] * rows
    refused = failed(verdict(truth, said(challenger), said(champion)))
    assert ("recall of frequent labels" in refused) is is_frequent


@pytest.mark.parametrize("groups", [None, [GROUPS[at % 20] for at in range(400)]])
def test_the_difference_is_that_of_scikit_learn(groups: list[str] | None) -> None:
    truth = truth_of(400)
    before, after = guess(truth, 0.4, 1), guess(truth, 0.6, 2)
    scores = [
        f1_score(truth, labels, average="macro", zero_division=0) for labels in (before, after)
    ]
    whole, low, high = bootstrap(truth, groups, before, after, seed=3)
    assert whole == pytest.approx(scores[1] - scores[0])
    assert low < whole < high


def test_the_interval_is_that_of_drawing_rows_one_by_one() -> None:
    truth = truth_of(300)
    before, after = guess(truth, 0.4, 1), guess(truth, 0.6, 2)
    draw = np.random.default_rng(5)
    found: list[float] = []
    for _ in range(600):
        rows = draw.integers(0, 300, 300)
        drawn = [[labels[row] for row in rows] for labels in (truth, before, after)]
        scores = [
            f1_score(drawn[0], labels, average="macro", zero_division=0) for labels in drawn[1:]
        ]
        found.append(scores[1] - scores[0])
    _, low, high = bootstrap(truth, None, before, after, seed=3)
    assert (low, high) == pytest.approx(np.quantile(found, [0.05, 0.95]), abs=0.015)


def test_the_same_seed_gives_the_same_interval() -> None:
    truth = truth_of(300)
    before, after = guess(truth, 0.4, 1), guess(truth, 0.6, 2)
    first = bootstrap(truth, None, before, after, seed=3)
    assert first == bootstrap(truth, None, before, after, seed=3)
    assert first != bootstrap(truth, None, before, after, seed=4)
