"""Fits a recipe to labelled files. Only training imports this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.contracts.recipe import CategoryFeature, Feature, TextFeature
from common.features.categories import Levels, fit_levels
from common.features.cells import Cells, Columns, Floats
from common.features.encoders import Encoders, unfitted
from common.features.linear import fit_text
from common.features.text import TextScores, distinct_texts, texts

FOLDS = 4
"""Out-of-fold text scores: more folds cost time, fewer make the scores of training pessimistic."""


class LabelledFile(msgspec.Struct, frozen=True):
    """A file's typed columns, the label of each row, and what it counts for (none: one each)."""

    columns: Columns
    labels: Sequence[str]
    weights: Sequence[float] = ()


class Fitted(msgspec.Struct, frozen=True):
    """Encoders, and the matrix to train a model on: all files' rows, one file after another.

    The matrix differs from ``encoders.matrix`` in the text scores: each row's come from a model
    that never saw the row's file, as an unseen file's will.
    """

    encoders: Encoders
    matrix: Floats
    targets: NDArray[np.intp]
    weights: Floats


def fit_encoders(
    recipe: Sequence[Feature], files: Sequence[LabelledFile], labels: Sequence[str]
) -> Fitted:
    """Fit every feature on every row of ``files`` that carries one of ``labels``.

    Rows of other labels still stand in their file while its context is computed, and are then left
    out of everything. Deterministic: the same files in the same order give the same bytes.
    """
    rows = _Rows(files, labels)
    levels: list[Levels] = []
    scores: list[TextScores] = []
    found: list[NDArray[Any]] = []
    for feature in recipe:
        match feature:
            case CategoryFeature():
                fitted = fit_levels(feature, rows.words(feature.column))
                levels.append(fitted)
                found.append(rows.stack(fitted.columns(cells) for cells in rows.cells))
            case TextFeature():
                text, out_of_fold = _fit_out_of_fold(feature, rows, len(labels))
                scores.append(text)
                found.append(out_of_fold)
            case _:
                found.append(rows.stack(unfitted(feature, cells) for cells in rows.cells))
    encoders = Encoders(recipe=list(recipe), labels=list(labels), levels=levels, scores=scores)
    return Fitted(encoders, np.ascontiguousarray(np.hstack(found)), rows.targets, rows.weights)


class _Rows:
    """The rows to learn from, over all files."""

    def __init__(self, files: Sequence[LabelledFile], labels: Sequence[str]) -> None:
        places = {label: place for place, label in enumerate(labels)}
        self.cells = [Cells(file.columns) for file in files]
        held = [np.array([places.get(label, -1) for label in file.labels]) for file in files]
        every = np.concatenate(held).astype(np.intp)
        self.kept = every >= 0
        self.targets = every[self.kept]
        counted = [file.weights or [1.0] * len(file.labels) for file in files]
        self.weights = np.concatenate(counted, dtype=np.float64)[self.kept]
        owner = np.repeat(np.arange(len(files)), [len(part) for part in held])
        self.folds = _folds(owner, len(files))[self.kept]

    def stack(self, parts: Any) -> Floats:
        """Each file's columns side by side, files one below another, kept rows only."""
        whole: Floats = np.vstack([np.column_stack(columns) for columns in parts])
        return whole[self.kept]

    def words(self, column: str) -> list[str | None]:
        """A column's cells in the kept rows."""
        cells = [cell for part in self.cells for cell in part.raw(column)]
        return [cell for cell, kept in zip(cells, self.kept, strict=True) if kept]


def _folds(owner: NDArray[np.intp], files: int) -> NDArray[np.intp]:
    """Fold of every row: whole files while there are enough of them, else blocks of rows."""
    if files >= FOLDS:
        return owner % FOLDS
    return np.arange(len(owner)) * FOLDS // max(len(owner), 1)


def _fit_out_of_fold(feature: TextFeature, rows: _Rows, labels: int) -> tuple[TextScores, Floats]:
    every = [text for cells in rows.cells for text in texts(feature, cells)]
    kept = [text for text, keep in zip(every, rows.kept, strict=True) if keep]
    distinct, inverse = distinct_texts(kept)
    out_of_fold = np.empty((len(kept), labels))
    for fold in range(FOLDS):
        away = rows.folds == fold
        if not away.any():
            continue
        part = fit_text(
            feature,
            distinct,
            _tallies(inverse, rows, ~away, (len(distinct), labels)),
        )
        out_of_fold[away] = part.of_texts(distinct)[inverse[away]]
    tallies = _tallies(inverse, rows, np.full(len(kept), fill_value=True), (len(distinct), labels))
    return fit_text(feature, distinct, tallies), out_of_fold


def _tallies(
    texts_of_rows: NDArray[np.intp],
    rows: _Rows,
    used: NDArray[np.bool_],
    shape: tuple[int, int],
) -> Floats:
    """What the rows of each text count for, by label."""
    places = texts_of_rows[used] * shape[1] + rows.targets[used]
    flat = np.bincount(places, rows.weights[used], minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)
