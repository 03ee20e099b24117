"""Words as level numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

import msgspec
import numpy as np

from common.contracts.recipe import CategoryFeature
from common.features.cells import Cells, Floats


class Levels(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A fitted category feature: a level's number is its place in ``words``."""

    feature: CategoryFeature
    words: list[str]

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Level number by word."""
        return {word: float(place) for place, word in enumerate(self.words)}

    def columns(self, cells: Cells) -> list[Floats]:
        """One column; a word that is no level, and a missing cell, are NaN."""
        level = self.numbers.get
        missing = float("nan")
        words = cells.raw(self.feature.column)
        return [np.array([level(word, missing) for word in words], dtype=np.float64)]


def fit_levels(feature: CategoryFeature, words: Iterable[str | None]) -> Levels:
    """The most frequent words, ties in alphabetical order, so that a fit is deterministic."""
    counts = Counter(word for word in words if word is not None)
    enough = [word for word, count in counts.items() if count >= feature.min_count]
    enough.sort(key=lambda word: (-counts[word], word))
    return Levels(feature=feature, words=enough[: feature.max_levels])
