"""How good a model is on files it never saw, beside the plainest guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from time import perf_counter

import msgspec
import numpy as np

from orchestration.extraction import TrainingFile
from orchestration.training import Trained

COMMON_LABEL_ROWS = 50


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """True labels, what the model said, and what the majority guess says, a row each.

    ``training_rows`` is how often each label stood in the data that the model learnt from.
    """

    truth: list[str]
    said: list[str]
    majority: list[str]
    training_rows: dict[str, int]
    features_seconds: float
    predict_seconds: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Quality on unseen files, in [0, 1], and cost in microseconds a row on one thread.

    ``macro_f1`` is the mean of F1 over every label that is true of a row or was given to one.
    ``macro_f1_common`` is over labels with 50 training rows or more: the others have too few
    rows for their F1 to mean much.
    """

    rows: int
    labels: int
    accuracy: float
    macro_f1: float
    macro_f1_common: float
    majority_accuracy: float
    majority_macro_f1: float
    features_us: float
    predict_us: float


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How right some labels are, in [0, 1]; ``macro_f1`` as in ``Figures``."""

    accuracy: float
    macro_f1: float


def quality(truth: Sequence[str], said: Sequence[str]) -> Quality:
    """Sum one model's labels up."""
    return Quality(
        accuracy=round(_accuracy(truth, said), 4),
        macro_f1=round(_mean(label_scores(truth, said).values()), 4),
    )


def answer(trained: Trained, files: Sequence[TrainingFile]) -> Answers:
    """Label whole files the way the service does: features, probabilities, the greatest wins."""
    known = trained.label_counts | trained.left_out
    commonest = max(sorted(known), key=lambda label: known[label])
    truth: list[str] = []
    said: list[str] = []
    features_seconds = predict_seconds = 0.0
    for file in files:
        started = perf_counter()
        matrix = trained.encoders.matrix(file.columns)
        encoded = perf_counter()
        places = np.argmax(trained.booster.predict(matrix, num_threads=1), axis=1)
        predict_seconds += perf_counter() - encoded
        features_seconds += encoded - started
        truth += file.labels
        said += [trained.encoders.labels[place] for place in places]
    return Answers(
        truth=truth,
        said=said,
        majority=[commonest] * len(truth),
        training_rows=known,
        features_seconds=features_seconds,
        predict_seconds=predict_seconds,
    )


def pool(parts: Iterable[Answers]) -> Answers:
    """All folds as one: every row is judged once, by a model that never saw its group."""
    folds = list(parts)
    rows: Counter[str] = Counter()
    for fold in folds:
        rows |= Counter(fold.training_rows)
    return Answers(
        truth=[label for fold in folds for label in fold.truth],
        said=[label for fold in folds for label in fold.said],
        majority=[label for fold in folds for label in fold.majority],
        training_rows=dict(rows),
        features_seconds=sum(fold.features_seconds for fold in folds),
        predict_seconds=sum(fold.predict_seconds for fold in folds),
    )


def figures(answers: Answers) -> Figures:
    """Sum answers up."""
    rows = len(answers.truth)
    of_label = label_scores(answers.truth, answers.said)
    of_majority = label_scores(answers.truth, answers.majority)
    common = [
        score
        for label, score in of_label.items()
        if answers.training_rows.get(label, 0) >= COMMON_LABEL_ROWS
    ]
    return Figures(
        rows=rows,
        labels=len(set(answers.truth)),
        accuracy=_accuracy(answers.truth, answers.said),
        macro_f1=_mean(of_label.values()),
        macro_f1_common=_mean(common),
        majority_accuracy=_accuracy(answers.truth, answers.majority),
        majority_macro_f1=_mean(of_majority.values()),
        features_us=answers.features_seconds / rows * 1e6,
        predict_us=answers.predict_seconds / rows * 1e6,
    )


def label_scores(truth: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """F1 of every label that is true of a row or was given to one."""
    true, given = Counter(truth), Counter(said)
    right = Counter(label for label, answer in zip(truth, said, strict=True) if label == answer)
    return {label: 2 * right[label] / (true[label] + given[label]) for label in true | given}


def _accuracy(truth: Sequence[str], said: Sequence[str]) -> float:
    return sum(map(str.__eq__, truth, said)) / len(truth)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
