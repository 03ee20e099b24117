"""Features that need no fitting: a number, a ratio, a date's parts, the time between two dates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.contracts.recipe import (
    DateFeature,
    DatePart,
    ElapsedFeature,
    ElapsedUnit,
    NumberFeature,
    RatioFeature,
    Transform,
)
from common.features.cells import UNIX_EPOCH_ORDINAL, Cells, Floats, known

MONTHS_A_YEAR = 12
DAYS_A_WEEK = 7
UNIX_EPOCH_YEAR = 1970
FRACTION_DIGITS = 6
"""Takes the binary noise off a fraction, so that 1.90 and 21.90 have the same."""

UNIX_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


def number(feature: NumberFeature, cells: Cells) -> list[Floats]:
    """One column: the number on its axis."""
    values = cells.numbers(feature.column)
    match feature.transform:
        case Transform.IDENTITY:
            return [values]
        case Transform.SIGNED_LOG:
            return [np.copysign(np.log1p(np.abs(values)), values)]
        case Transform.FRACTION:
            return [np.round(np.abs(values) % 1.0, FRACTION_DIGITS)]


def ratio(feature: RatioFeature, cells: Cells) -> list[Floats]:
    """One column: numerator over denominator, NaN where the denominator is zero or missing."""
    below = cells.numbers(feature.denominator)
    below = np.where(below == 0.0, np.nan, below)
    return [cells.numbers(feature.numerator) / below]


def date(feature: DateFeature, cells: Cells) -> list[Floats]:
    """One column per part."""
    days = cells.days(feature.column)
    return [known(days, _part(days, part)) for part in feature.parts]


def elapsed(feature: ElapsedFeature, cells: Cells) -> list[Floats]:
    """One column: whole days or calendar months from start to end."""
    start, end = cells.days(feature.start), cells.days(feature.end)
    unit = "datetime64[D]" if feature.unit is ElapsedUnit.DAYS else "datetime64[M]"
    between = end.astype(unit).astype(np.int64) - start.astype(unit).astype(np.int64)
    return [np.where(np.isnat(start) | np.isnat(end), np.nan, between.astype(np.float64))]


def _part(days: NDArray[np.datetime64], part: DatePart) -> NDArray[np.int64]:
    since_epoch: NDArray[np.int64] = days.astype(np.int64)
    match part:
        case DatePart.ORDINAL:
            return since_epoch + UNIX_EPOCH_ORDINAL
        case DatePart.WEEKDAY:
            return (since_epoch + UNIX_EPOCH_WEEKDAY) % DAYS_A_WEEK
        case DatePart.YEAR:
            return days.astype("datetime64[Y]").astype(np.int64) + UNIX_EPOCH_YEAR
        case DatePart.MONTH:
            return days.astype("datetime64[M]").astype(np.int64) % MONTHS_A_YEAR + 1
        case DatePart.DAY:
            first = days.astype("datetime64[M]").astype("datetime64[D]")
            return since_epoch - first.astype(np.int64) + 1
