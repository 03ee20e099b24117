"""What the whole file says about a row's cell. Linear in the rows, but for one sort a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.contracts.recipe import ANY_COLUMN_STATISTICS, ContextFeature, Statistic
from common.features.cells import Cells, Floats


def context(feature: ContextFeature, cells: Cells) -> list[Floats]:
    """One column per statistic, in the feature's order; NaN where the row's cell is missing."""
    if ANY_COLUMN_STATISTICS.issuperset(feature.statistics):
        return _of_words(feature, cells.raw(feature.column))
    values = cells.ordered(feature.column)
    present = ~np.isnan(values)
    if not present.any():
        return [np.full(len(values), np.nan) for _ in feature.statistics]
    known = _Known(values[present])
    return [_spread(known.statistic(name), present) for name in feature.statistics]


def _of_words(feature: ContextFeature, cells: Sequence[Any]) -> list[Floats]:
    counts: Counter[Any] = Counter(cells)
    missing = counts.pop(None, 0)
    rows = max(len(cells) - missing, 1)
    held = np.array([counts.get(cell, np.nan) for cell in cells], dtype=np.float64)
    found: list[Floats] = []
    for name in feature.statistics:
        if name is Statistic.COUNT:
            found.append(held)
        elif name is Statistic.SHARE:
            found.append(held / rows)
        else:
            found.append(np.where(np.isnan(held), np.nan, float(len(counts))))
    return found


def _spread(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Values of the present rows, laid back among the missing ones."""
    spread = np.full(len(present), np.nan)
    spread[present] = values
    return spread


class _Known:
    """A file's present values of one column, sorted once."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.levels, self.level, self.counts = np.unique(
            values, return_inverse=True, return_counts=True
        )

    def statistic(self, name: Statistic) -> Floats:
        """The statistic for each value."""
        match name:
            case Statistic.COUNT:
                return self.counts[self.level].astype(np.float64)
            case Statistic.SHARE:
                return self.counts[self.level] / len(self.values)
            case Statistic.RANK:
                return self._ranks()[self.level]
            case Statistic.GAP:
                return np.concatenate(([np.nan], np.diff(self.levels)))[self.level]
            case Statistic.SCORE:
                return self._scores()
            case Statistic.DISTINCT | Statistic.MEAN | Statistic.DEVIATION:
                return np.full(len(self.values), self._of_file(name))

    def _of_file(self, name: Statistic) -> float:
        if name is Statistic.DISTINCT:
            return float(len(self.levels))
        return float(self.values.mean() if name is Statistic.MEAN else self.values.std())

    def _ranks(self) -> Floats:
        below = np.cumsum(self.counts) - self.counts
        ranks: Floats = (below + (self.counts - 1) / 2) / max(len(self.values) - 1, 1)
        return ranks

    def _scores(self) -> Floats:
        deviation = self.values.std()
        if deviation == 0.0:
            return np.zeros(len(self.values))
        scores: Floats = (self.values - self.values.mean()) / deviation
        return scores
