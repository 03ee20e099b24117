"""Fitted encoders: what turns a file's typed columns into the matrix a model was trained on.

Data, not code: they travel with the model as ``encoders.json`` and mean the same in training and
in serving. Only numpy is needed to apply them.
"""

from __future__ import annotations

import re
from functools import cached_property

import msgspec
import numpy as np

from common.contracts.recipe import (
    CategoryFeature,
    ContextFeature,
    DateFeature,
    ElapsedFeature,
    Feature,
    NumberFeature,
    RatioFeature,
    TextFeature,
    columns_of,
)
from common.errors import PermanentError
from common.features.categories import Levels
from common.features.cells import Cells, Columns, Floats
from common.features.context import context
from common.features.scalars import date, elapsed, number, ratio
from common.features.text import TextScores

CATEGORY = "category"
TEXT = "text"
TEXT_START = re.compile(rf"{TEXT}\(.*, 0\)")


class Encoders(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A fitted recipe.

    ``labels`` are the model's classes in the order of its probabilities; ``levels`` and ``scores``
    belong to the category and the text features of ``recipe``, in the recipe's order.
    """

    recipe: list[Feature]
    labels: list[str]
    levels: list[Levels]
    scores: list[TextScores]
    format: int = 1

    @cached_property
    def names(self) -> list[str]:
        """A name for every column of the matrix."""
        return [name for feature in self.recipe for name in _names(feature, self.labels)]

    @cached_property
    def categorical(self) -> list[int]:
        """Indices of the matrix's columns that hold level numbers."""
        return [at for at, name in enumerate(self.names) if name.startswith(f"{CATEGORY}(")]

    @cached_property
    def text_scores(self) -> list[list[int]]:
        """For each text feature, the indices of its score of every label, in label order."""
        first = [at for at, name in enumerate(self.names) if TEXT_START.fullmatch(name)]
        return [list(range(at, at + len(self.labels))) for at in first]

    def matrix(self, columns: Columns) -> Floats:
        """Features of one whole file: rows x len(names), C-contiguous; NaN is missing.

        ``columns`` holds at least the recipe's columns. The order of a file's rows is kept.
        """
        cells = Cells(columns)
        levels, scores = iter(self.levels), iter(self.scores)
        found: list[Floats] = []
        for feature in self.recipe:
            match feature:
                case CategoryFeature():
                    found += next(levels).columns(cells)
                case TextFeature():
                    found += next(scores).columns(cells)
                case _:
                    found += unfitted(feature, cells)
        return np.column_stack(found)


def unfitted(
    feature: NumberFeature | DateFeature | ElapsedFeature | RatioFeature | ContextFeature,
    cells: Cells,
) -> list[Floats]:
    """Columns of a feature that learns nothing from training."""
    match feature:
        case NumberFeature():
            return number(feature, cells)
        case DateFeature():
            return date(feature, cells)
        case ElapsedFeature():
            return elapsed(feature, cells)
        case RatioFeature():
            return ratio(feature, cells)
        case ContextFeature():
            return context(feature, cells)


def encode(encoders: Encoders) -> bytes:
    """The JSON that is kept with a model; the same encoders always give the same bytes."""
    return msgspec.json.encode(encoders)


def decode(content: bytes) -> Encoders:
    """Read ``encoders.json`` back, strictly.

    Raises PermanentError(code="broken-encoders") when it is not what ``encode`` wrote.
    """
    try:
        return msgspec.json.decode(content, type=Encoders)
    except msgspec.DecodeError as error:
        raise PermanentError(
            "broken-encoders",
            f"encoders.json cannot be read: {error}. Train the version again and register it.",
        ) from error


def _names(feature: Feature, labels: list[str]) -> list[str]:
    of = ", ".join(columns_of(feature))
    variants: list[str] = []
    match feature:
        case CategoryFeature():
            return [f"{CATEGORY}({of})"]
        case TextFeature():
            return [f"{TEXT}({of}, {place})" for place in range(len(labels))]
        case NumberFeature(transform=transform):
            variants = [transform]
        case DateFeature(parts=parts):
            variants = list(parts)
        case ElapsedFeature(unit=unit):
            variants = [unit]
        case ContextFeature(statistics=statistics):
            variants = list(statistics)
        case RatioFeature():
            variants = ["over"]
    kind = type(feature).__name__.removesuffix("Feature").lower()
    return [f"{kind}({of}, {variant})" for variant in variants]
