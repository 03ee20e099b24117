"""The recipe: which features a contract makes of its columns, and how.

A recipe is written in the contract's YAML as a list of objects told apart by ``kind``. This module
is its vocabulary and nothing else: ``common.contracts`` checks it against the columns,
``common.features`` fits and applies it, the same way in training and in serving.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

Bound = Annotated[int, msgspec.Meta(ge=1)]


class Transform(StrEnum):
    """How a number is laid on its axis.

    ``signed_log`` is sign(x) * ln(1 + |x|). ``fraction`` is what follows the decimal point of |x|:
    prices end in .90 and .99, fares and taxes anyhow, cash in .00.
    """

    IDENTITY = "identity"
    SIGNED_LOG = "signed_log"
    FRACTION = "fraction"


class DatePart(StrEnum):
    """One number of a date. ``ordinal`` counts days from 1 January of the year 1."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    WEEKDAY = "weekday"
    ORDINAL = "ordinal"


class ElapsedUnit(StrEnum):
    """The unit in which time between two dates is counted; months are calendar months."""

    DAYS = "days"
    MONTHS = "months"


class Statistic(StrEnum):
    """What the whole file says about a row's cell. Money's sign is kept; missing cells are skipped.

    Of any column: ``count`` (rows that hold the same value), ``share`` (the same over all rows),
    ``distinct`` (how many values the file holds). Of numbers and dates: ``rank`` (0 for the least,
    1 for the greatest, ties share their mean), ``mean`` and ``deviation`` of the file, ``score``
    (the cell less the mean, in deviations), ``gap`` (distance down to the next smaller value).
    """

    COUNT = "count"
    SHARE = "share"
    DISTINCT = "distinct"
    RANK = "rank"
    MEAN = "mean"
    DEVIATION = "deviation"
    SCORE = "score"
    GAP = "gap"


ANY_COLUMN_STATISTICS = frozenset({Statistic.COUNT, Statistic.SHARE, Statistic.DISTINCT})
"""The statistics that need no order and no arithmetic: any column has them."""


class _Feature(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """What the features have in common: their ``kind`` and that no unknown key passes."""


class NumberFeature(_Feature, frozen=True, kw_only=True, tag="number"):
    """A decimal or integer column as one number."""

    column: str
    transform: Transform = Transform.IDENTITY


class DateFeature(_Feature, frozen=True, kw_only=True, tag="date"):
    """A date column as one number per part."""

    column: str
    parts: Annotated[tuple[DatePart, ...], msgspec.Meta(min_length=1)]


class ElapsedFeature(_Feature, frozen=True, kw_only=True, tag="elapsed"):
    """Time from one date column to another; negative when ``end`` comes first."""

    start: str
    end: str
    unit: ElapsedUnit = ElapsedUnit.DAYS


class RatioFeature(_Feature, frozen=True, kw_only=True, tag="ratio"):
    """One numeric column over another; missing where the denominator is zero."""

    numerator: str
    denominator: str


class CategoryFeature(_Feature, frozen=True, kw_only=True, tag="category"):
    """A category or text column as a level number that trees split by set.

    A level needs ``min_count`` training rows; at most ``max_levels`` of the most frequent are
    kept. Every other word, seen or unseen, is missing.
    """

    column: str
    min_count: Bound = 5
    max_levels: Bound = 200


class TextFeature(_Feature, frozen=True, kw_only=True, tag="text"):
    """Words as one score per label: a linear model over hashed character n-grams.

    The texts of ``columns`` are read as one. ``ngram_min`` to ``ngram_max`` characters make an
    n-gram, hashed into ``buckets`` (a power of two; the encoder's size is buckets x labels x 2
    bytes). A cell of ``words`` is one token, however long, that weighs as much as the whole text:
    what stands beside the text and says something of its own. ``penalty`` is the strength of the
    quadratic penalty on the linear model's weights.
    """

    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    words: tuple[str, ...] = ()
    ngram_min: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    ngram_max: Annotated[int, msgspec.Meta(ge=1, le=8)] = 4
    buckets: Annotated[int, msgspec.Meta(ge=256, le=65536)] = 8192
    penalty: Decimal = Decimal(1)


class ContextFeature(_Feature, frozen=True, kw_only=True, tag="context"):
    """What the whole file says about a column, one number per statistic.

    The file is the unit that is labelled: an account, a month.
    """

    column: str
    statistics: Annotated[tuple[Statistic, ...], msgspec.Meta(min_length=1)]


Feature = (
    NumberFeature
    | DateFeature
    | ElapsedFeature
    | RatioFeature
    | CategoryFeature
    | TextFeature
    | ContextFeature
)
"""Any one step of a recipe."""


def columns_of(feature: Feature) -> tuple[str, ...]:
    """The canonical names of the columns that a feature reads, in the order it names them."""
    match feature:
        case ElapsedFeature(start=start, end=end):
            return (start, end)
        case RatioFeature(numerator=numerator, denominator=denominator):
            return (numerator, denominator)
        case TextFeature(columns=columns, words=words):
            return (*columns, *words)
        case _:
            return (feature.column,)


_NUMERIC = frozenset({"decimal", "integer"})
_WORDS = frozenset({"category", "text"})
_DATES = frozenset({"date"})
_ORDERED = _NUMERIC | _DATES


def accepted_types(feature: Feature) -> frozenset[str]:
    """The column types (their names in a contract) that a feature can be made of."""
    match feature:
        case NumberFeature() | RatioFeature():
            return _NUMERIC
        case DateFeature() | ElapsedFeature():
            return _DATES
        case CategoryFeature() | TextFeature():
            return _WORDS
        case ContextFeature(statistics=statistics):
            return _ORDERED | _WORDS if ANY_COLUMN_STATISTICS.issuperset(statistics) else _ORDERED


def contradiction(feature: Feature) -> str | None:
    """Why a feature's own settings cannot be meant together; None when they can."""
    match feature:
        case TextFeature(ngram_min=least, ngram_max=most) if least > most:
            return f"ngram_min {least} is greater than ngram_max {most}"
        case TextFeature(buckets=buckets) if buckets & (buckets - 1):
            return f"buckets {buckets} is not a power of two"
        case TextFeature(penalty=penalty) if not penalty.is_finite() or penalty <= 0:
            return f"penalty {penalty} is not greater than zero"
        case _:
            return None
