"""A few rows that fit a contract, made of nothing but the contract: a version's first exercise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from common.contracts import Column, ColumnType, Contract, recipe_columns

SYNTHETIC_ROWS = 4
_SOME_DAY = date(2024, 2, 29)


def synthetic_columns(contract: Contract) -> bytes:
    """The contract's columns as a request carries them, ``SYNTHETIC_ROWS`` rows of JSON."""
    wanted = set(recipe_columns(contract))
    return msgspec.json.encode(
        {column.name: _cells(column) for column in contract.columns if column.name in wanted}
    )


def _cells(column: Column) -> list[Any]:
    cells = [_MAKERS[column.type](column)] * SYNTHETIC_ROWS
    if column.nullable:
        cells[-1] = None
    return cells


def _decimal(column: Column) -> Decimal:
    return Decimal(_within(column))


def _within(column: Column) -> int:
    """A whole number between the bounds, where there is one."""
    least = column.minimum if isinstance(column.minimum, int | Decimal) else None
    most = column.maximum if isinstance(column.maximum, int | Decimal) else None
    if least is not None:
        return -int(-least // 1)
    return 1 if most is None else min(1, int(most // 1))


def _date(column: Column) -> date:
    for bound in (column.minimum, column.maximum):
        if isinstance(bound, date):
            return bound
    return _SOME_DAY


def _word(column: Column) -> str:
    return next(iter(column.values), "word")


_MAKERS: dict[ColumnType, Callable[[Column], Any]] = {
    ColumnType.DECIMAL: _decimal,
    ColumnType.INTEGER: _within,
    ColumnType.DATE: _date,
    ColumnType.CATEGORY: _word,
    ColumnType.TEXT: _word,
}
