"""Types made from a contract: one row as JSON, and the columns as they travel."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Optional

import msgspec

from common.contracts.columns import Column, ColumnType, Role
from common.contracts.contract import Contract, recipe_columns

_PYTHON_TYPES: dict[ColumnType, type] = {
    ColumnType.DECIMAL: Decimal,
    ColumnType.INTEGER: int,
    ColumnType.DATE: date,
    ColumnType.CATEGORY: str,
    ColumnType.TEXT: str,
}
_NOT_IN_A_ROW = frozenset({Role.LABEL, Role.IGNORED})


def row_type(contract: Contract) -> type[msgspec.Struct]:
    """Make the type of one row to be labelled, by canonical names: the schema of JSON input."""
    required: list[Any] = []
    optional: list[Any] = []
    for column in contract.columns:
        if column.role in _NOT_IN_A_ROW:
            continue
        annotation = _annotated(column)
        if column.required:
            required.append((column.name, annotation))
        else:
            optional.append((column.name, annotation, None))
    return msgspec.defstruct(
        _class_name(contract, "Row"), [*required, *optional], frozen=True, kw_only=True
    )


def columns_type(contract: Contract) -> type[msgspec.Struct]:
    """Make the type of a file's columns on their way to a worker: a list for each that travels.

    On the wire decimals are JSON strings and dates ISO 8601. Nothing else decodes: a missing or an
    unknown column, or a null where the contract has none, is an error of the sender.
    """
    fields = [
        (name, list[_cell_type(contract.column(name))])  # type: ignore[misc]
        for name in recipe_columns(contract)
    ]
    return msgspec.defstruct(
        _class_name(contract, "Columns"),
        fields,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


def _cell_type(column: Column) -> Any:
    kind = _PYTHON_TYPES[column.type]
    return Optional[kind] if column.nullable else kind  # noqa: UP045 - a type made at run time


def _annotated(column: Column) -> Any:
    meta = msgspec.Meta(
        description=column.description or None,
        examples=list(column.values[:3]) or None,
        extra_json_schema={"enum": [*column.values, None]} if column.closed else None,
    )
    return Annotated[_cell_type(column), meta]


def _class_name(contract: Contract, suffix: str) -> str:
    return "".join(word.capitalize() for word in contract.family.split("-")) + suffix
