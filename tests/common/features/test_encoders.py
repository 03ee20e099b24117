"""The recipe's features: the same in training and serving, whatever process computes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.contracts.recipe import (
    CategoryFeature,
    ContextFeature,
    DateFeature,
    DatePart,
    ElapsedFeature,
    ElapsedUnit,
    Feature,
    NumberFeature,
    RatioFeature,
    Statistic,
    TextFeature,
    Transform,
)
from common.errors import PermanentError
from common.features import Columns, Encoders, decode, encode
from common.features.fitting import LabelledFile, fit_encoders

GOLDEN = Path(__file__).parent / "golden"

EVERY_KIND: list[Feature] = [
    NumberFeature(column="price", transform=Transform.SIGNED_LOG),
    DateFeature(column="sold", parts=tuple(DatePart)),
    ElapsedFeature(start="opened", end="sold", unit=ElapsedUnit.MONTHS),
    RatioFeature(numerator="price", denominator="limit"),
    CategoryFeature(column="colour", min_count=2),
    TextFeature(columns=("seller", "colour"), buckets=256),
    ContextFeature(column="price", statistics=tuple(Statistic)),
    ContextFeature(column="colour", statistics=(Statistic.COUNT, Statistic.SHARE)),
]
SELLERS = {"bread": "bakery", "tools": "hardware yard", "books": "reading room"}


def shop(rows: int, seed: int) -> LabelledFile:
    """Sales whose seller gives the label away, with gaps."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    labels = [draw.choice(list(SELLERS)) for _ in range(rows)]
    columns: dict[str, list[Any]] = {
        "price": [Decimal(draw.randrange(-500, 90_000)) / 100 for _ in range(rows)],
        "limit": [draw.choice([None, Decimal(0), Decimal(1000)]) for _ in range(rows)],
        "sold": [date(2024, 1, 1) + timedelta(days=draw.randrange(366)) for _ in range(rows)],
        "opened": [draw.choice([None, date(2020, 5, 31)]) for _ in range(rows)],
        "colour": [draw.choice(["red", "blue", None]) for _ in range(rows)],
        "seller": [f"{SELLERS[label]} {draw.randrange(30)}" for label in labels],
    }
    return LabelledFile(columns, labels)


def fit(*files: LabelledFile, recipe: Sequence[Feature] = EVERY_KIND) -> Encoders:
    return fit_encoders(recipe, files, list(SELLERS)).encoders


def features(feature: Feature, columns: Columns) -> list[list[float]]:
    """The matrix that one unfitted feature makes."""
    encoders = Encoders(recipe=[feature], labels=["a"], levels=[], scores=[])
    found: list[list[float]] = encoders.matrix(columns).tolist()
    return found


def same(found: list[list[float]], expected: Sequence[Sequence[Any]]) -> None:
    np.testing.assert_allclose(found, expected)


def test_the_same_files_give_the_same_bytes() -> None:
    files = [shop(60, seed) for seed in range(5)]
    assert encode(fit(*files)) == encode(fit(*files))


def test_encoders_read_back_from_json_give_the_identical_matrix() -> None:
    encoders = fit(*(shop(60, seed) for seed in range(5)))
    unseen = shop(40, 99).columns
    read = decode(encode(encoders))
    np.testing.assert_array_equal(read.matrix(unseen), encoders.matrix(unseen))
    assert (read.names, read.categorical) == (encoders.names, encoders.categorical)


def test_the_matrix_is_contiguous_floats_one_row_a_row_one_name_a_column() -> None:
    encoders = fit(*(shop(60, seed) for seed in range(5)))
    matrix = encoders.matrix(shop(40, 99).columns)
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    assert matrix.shape == (40, len(encoders.names))
    assert len(set(encoders.names)) == len(encoders.names)


def test_training_and_serving_make_the_same_features_but_for_the_out_of_fold_text() -> None:
    files = [shop(60, seed) for seed in range(5)]
    fitted = fit_encoders(EVERY_KIND, files, list(SELLERS))
    served = np.vstack([fitted.encoders.matrix(file.columns) for file in files])
    text = fitted.encoders.text_scores[0]
    np.testing.assert_array_equal(
        np.delete(fitted.matrix, text, axis=1), np.delete(served, text, axis=1)
    )
    assert not np.allclose(fitted.matrix[:, text], served[:, text])


def test_a_file_of_one_row_with_every_optional_cell_missing_has_features() -> None:
    encoders = fit(*(shop(60, seed) for seed in range(5)))
    row: dict[str, list[Any]] = {
        "price": [Decimal("1.10")],
        "limit": [None],
        "sold": [date(2024, 2, 29)],
        "opened": [None],
        "colour": [None],
        "seller": [None],
    }
    assert encoders.matrix(row).shape == (1, len(encoders.names))


def test_unseen_and_rare_words_are_missing_and_seen_ones_keep_their_number() -> None:
    feature = CategoryFeature(column="colour", min_count=2, max_levels=2)
    words = ["red", "red", "blue", "blue", "blue", "green", "green", "once"]
    file = LabelledFile({"colour": words}, ["bread"] * len(words))
    encoders = fit(file, recipe=[feature])
    found = encoders.matrix({"colour": ["blue", "green", "red", "once", "never", None]})
    # Blue is the most frequent; green and red tie, and only the first in the alphabet fits.
    expected: list[list[float]] = [[0], [1], *[[np.nan]] * 4]
    same(found.tolist(), expected)
    assert encoders.categorical == [0]


def test_every_part_of_a_date_agrees_with_the_calendar() -> None:
    days = [date(1969, 12, 31), date(1970, 1, 1), date(2000, 2, 29), date(2024, 12, 31)]
    expected = [[d.year, d.month, d.day, d.weekday(), d.toordinal()] for d in days]
    found = features(DateFeature(column="day", parts=tuple(DatePart)), {"day": [*days, None]})
    same(found, [*expected, [np.nan] * 5])


@pytest.mark.parametrize(("unit", "expected"), [(ElapsedUnit.DAYS, 1), (ElapsedUnit.MONTHS, 1)])
def test_time_between_dates_counts_days_or_calendar_months(
    unit: ElapsedUnit, expected: int
) -> None:
    feature = ElapsedFeature(start="a", end="b", unit=unit)
    first, last = date(2024, 1, 31), date(2024, 2, 1)
    columns = {"a": [first, last, None, first], "b": [last, first, last, None]}
    same(features(feature, columns), [[expected], [-expected], [np.nan], [np.nan]])


def test_a_number_is_laid_on_its_axis_and_none_is_missing() -> None:
    cells: Columns = {"n": [Decimal("-1.90"), Decimal("21.90"), 0, None]}
    logs = [[-np.log(2.9)], [np.log(22.9)], [0], [np.nan]]
    same(features(NumberFeature(column="n", transform=Transform.SIGNED_LOG), cells), logs)
    fraction = features(NumberFeature(column="n", transform=Transform.FRACTION), cells)
    same(fraction, [[0.9], [0.9], [0], [np.nan]])
    assert fraction[0] == fraction[1]


def test_a_ratio_over_nothing_is_missing() -> None:
    cells: Columns = {
        "a": [Decimal(1), Decimal(1), None],
        "b": [Decimal(4), Decimal(0), Decimal(1)],
    }
    found = features(RatioFeature(numerator="a", denominator="b"), cells)
    same(found, [[0.25], [np.nan], [np.nan]])


def test_the_context_of_numbers_is_that_of_the_whole_file() -> None:
    feature = ContextFeature(column="n", statistics=tuple(Statistic))
    assert [name.value for name in Statistic] == [
        *("count", "share", "distinct", "rank", "mean", "deviation", "score", "gap")
    ]
    found = features(feature, {"n": [Decimal(2), None, Decimal(4), Decimal(2), Decimal(8)]})
    deviation = np.std([2, 2, 4, 8])
    of = {2: (2, 0.5, 1 / 6, np.nan), 4: (1, 0.25, 2 / 3, 2), 8: (1, 0.25, 1.0, 4)}
    rows = {
        value: [count, share, 3, rank, 4, deviation, (value - 4) / deviation, gap]
        for value, (count, share, rank, gap) in of.items()
    }
    same(found, [rows[2], [np.nan] * 8, rows[4], rows[2], rows[8]])


def test_the_context_of_words_counts_those_alike() -> None:
    statistics = (Statistic.COUNT, Statistic.SHARE, Statistic.DISTINCT)
    feature = ContextFeature(column="w", statistics=statistics)
    found = features(feature, {"w": ["x", "y", None, "x"]})
    x: list[float] = [2, 2 / 3, 2]
    y: list[float] = [1, 1 / 3, 2]
    same(found, [x, y, [np.nan] * 3, x])


def test_a_file_without_one_cell_of_a_column_has_no_context_in_it() -> None:
    feature = ContextFeature(column="n", statistics=(Statistic.RANK, Statistic.SCORE))
    same(features(feature, {"n": [None, None]}), [[np.nan] * 2] * 2)


def test_released_encoders_still_give_the_numbers_they_gave() -> None:
    encoders = decode((GOLDEN / "encoders.json").read_bytes())
    found = encoders.matrix(shop(6, 2024).columns)
    expected = np.loadtxt(GOLDEN / "matrix.csv", delimiter=",")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_broken_encoder_file_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"encoders\.json") as refused:
        decode(b'{"recipe": [{"kind": "magic"}]}')
    assert refused.value.code == "broken-encoders"
