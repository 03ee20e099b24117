"""Bounds of a column, read in the column's own type."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation

from common.contracts.columns import BoundValue, ColumnType


def parse_bound(written: str | int | None, kind: ColumnType) -> BoundValue | None:
    """Turn a bound as it is written in YAML into a value that cells compare with.

    Raises:
        ValueError: the bound is not of the column's type, or the type has no order.
    """
    if written is None:
        return None
    match kind:
        case ColumnType.DECIMAL:
            return _decimal(str(written))
        case ColumnType.INTEGER:
            if not isinstance(written, int):
                raise ValueError(f"{written!r} is not an integer")  # noqa: TRY004 - a wrong word in a file, not a wrong call
            return written
        case ColumnType.DATE:
            return date.fromisoformat(str(written))
        case _:
            raise ValueError(f"a {kind} column has no order, so it has no bounds")


def _decimal(written: str) -> Decimal:
    try:
        number = Decimal(written)
    except InvalidOperation:
        raise ValueError(f"{written!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{written!r} is not a finite number")
    return number
