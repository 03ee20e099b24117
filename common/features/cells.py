"""A file's cells as arrays: the one place where exact money becomes a float.

Columns arrive as lists of ``Decimal``, ``int``, ``date``, ``str`` or None; each is converted once,
however many features read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, Sequence[Any]]
"""Canonical column name to the cells of the good rows, all of one length."""

Floats = NDArray[np.float64]

UNIX_EPOCH_ORDINAL = 719_163
"""``date(1970, 1, 1).toordinal()``: numpy counts days from there."""

NOT_A_TIME = np.iinfo(np.int64).min
"""How numpy stores a missing date."""

NAN = float("nan")


class Cells:
    """One file's columns, converted on first use."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._numbers: dict[str, Floats] = {}
        self._days: dict[str, NDArray[np.datetime64]] = {}

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def raw(self, column: str) -> Sequence[Any]:
        """The cells as they came."""
        return self._columns[column]

    def numbers(self, column: str) -> Floats:
        """A numeric column; None is NaN."""
        found = self._numbers.get(column)
        if found is None:
            cells = self._columns[column]
            floats = [NAN if cell is None else float(cell) for cell in cells]
            found = self._numbers[column] = np.array(floats, dtype=np.float64)
        return found

    def days(self, column: str) -> NDArray[np.datetime64]:
        """A date column, by the day; None is NaT."""
        found = self._days.get(column)
        if found is None:
            # Twenty times faster than letting numpy look at every date.
            cells = self._columns[column]
            days = [
                NOT_A_TIME if cell is None else cell.toordinal() - UNIX_EPOCH_ORDINAL
                for cell in cells
            ]
            found = np.array(days, dtype=np.int64).view("datetime64[D]")
            self._days[column] = found
        return found

    def ordered(self, column: str) -> Floats:
        """A numeric column as it is, a date column as its ordinal; None is NaN."""
        first = next((cell for cell in self._columns[column] if cell is not None), None)
        if hasattr(first, "toordinal"):
            days = self.days(column)
            return known(days, days.astype(np.int64) + UNIX_EPOCH_ORDINAL)
        return self.numbers(column)


def known(days: NDArray[np.datetime64], values: NDArray[np.int64]) -> Floats:
    """The values as floats, NaN wherever the date they came from is missing."""
    floats = values.astype(np.float64)
    floats[np.isnat(days)] = np.nan
    return floats
