"""One column of a family's files: its names, its type, its role and what it may hold."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec


class ColumnType(StrEnum):
    """What a cell means. Decimals stay exact until they become features."""

    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE = "date"
    CATEGORY = "category"
    TEXT = "text"


class Role(StrEnum):
    """What a column is for.

    ``personal`` columns are checked, but never travel and are never quoted in a violation.
    ``ignored`` columns are known by name, so that nobody wonders, and are not read at all.
    ``time`` and ``group`` columns place a row for the split, and a recipe may use them too.
    """

    FEATURE = "feature"
    LABEL = "label"
    GROUP = "group"
    TIME = "time"
    PERSONAL = "personal"
    IGNORED = "ignored"


BoundValue = Decimal | int | date
"""A bound of a column, in the column's own type."""


class Column(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A column of a contract.

    ``name`` is the canonical one (English snake_case), ``aliases`` the headings that files give
    it. ``required``: a file without it is not read. ``nullable``: a row without it is kept.
    ``values`` are known words: they tell encodings apart, and when ``closed`` nothing else is
    accepted. ``spellings`` maps a cell as found (stripped) to what it means, None for nothing.
    """

    name: str
    type: ColumnType
    role: Role
    description: str = ""
    aliases: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = True
    minimum: BoundValue | None = None
    maximum: BoundValue | None = None
    formats: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    closed: bool = False
    spellings: dict[str, str | None] = {}
