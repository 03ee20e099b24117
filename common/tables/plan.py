"""What reading a family's files takes, prepared once a contract and purpose."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from common.contracts import Column, Contract, Role, heading_key, recipe_columns
from common.tables.cells import ColumnReader
from common.tables.table import Limits, Purpose

_PLACING = frozenset({Role.TIME, Role.GROUP})


class Plan(NamedTuple):
    """The prepared readers. ``headings`` maps a heading's key to its column."""

    contract: Contract
    limits: Limits
    headings: dict[str, Column]
    required: frozenset[str]
    readers: dict[str, ColumnReader]
    kept: tuple[str, ...]


@lru_cache(maxsize=64)
def plan_for(contract: Contract, purpose: Purpose, limits: Limits) -> Plan:
    """Prepare: which columns are looked for, which are checked, which come back.

    The group's comes back for labelling, too, where no row is rejected for having none.
    """
    used = frozenset(recipe_columns(contract))
    checked = [
        column
        for column in contract.columns
        if column.name == contract.group or _is_checked(column, purpose, used)
    ]
    return Plan(
        contract=contract,
        limits=limits,
        headings={
            heading_key(heading): column
            for column in contract.columns
            for heading in (column.name, *column.aliases)
        },
        required=_required(contract, purpose),
        readers={
            column.name: ColumnReader(
                column,
                decimal_mark=contract.decimal_mark,
                nullable=not _is_checked(column, purpose, used)
                or (column.nullable and column.role is not Role.LABEL),
                cell_characters=limits.cell_characters,
            )
            for column in checked
        },
        kept=tuple(
            column.name
            for column in contract.columns
            if column.name in used
            or column.name == contract.group
            or (purpose is Purpose.TRAINING and _teaches(column))
        ),
    )


def _required(contract: Contract, purpose: Purpose) -> frozenset[str]:
    names = {column.name for column in contract.columns if column.required}
    if purpose is Purpose.TRAINING:
        names.add(contract.label.name)
    return frozenset(names)


def _is_checked(column: Column, purpose: Purpose, used: frozenset[str]) -> bool:
    if column.role in (Role.FEATURE, Role.PERSONAL):
        return True
    return column.name in used or (purpose is Purpose.TRAINING and _teaches(column))


def _teaches(column: Column) -> bool:
    return column.role is Role.LABEL or column.role in _PLACING
