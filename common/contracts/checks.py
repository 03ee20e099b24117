"""What types cannot say: that a contract's parts fit one another."""

from __future__ import annotations

from collections.abc import Iterator

from common.contracts.columns import Column, ColumnType, Role
from common.contracts.contract import GROUP_BY_FILE, Contract, Split
from common.contracts.dates import UnknownDateFormatError, contradicting_formats, date_parser
from common.contracts.document import Document, Path
from common.contracts.headings import heading_key
from common.contracts.recipe import accepted_types, columns_of, contradiction

_WORD_TYPES = frozenset({ColumnType.CATEGORY, ColumnType.TEXT})
_NOT_FOR_RECIPES = frozenset({Role.LABEL, Role.PERSONAL, Role.IGNORED})
_NEVER_REQUIRED = frozenset({Role.LABEL, Role.IGNORED})


def check_contract(contract: Contract, document: Document) -> None:
    """Refuse a contract whose parts contradict one another.

    Raises:
        BrokenContract: the first contradiction, at its line.
    """
    for path, reason in _contradictions(contract):
        raise document.broken(path, reason)


def _contradictions(contract: Contract) -> Iterator[tuple[Path, str]]:
    yield from _heading_clashes(contract)
    for at, column in enumerate(contract.columns):
        for part, reason in _column_faults(column):
            yield ("columns", at, *part), reason
    yield from _role_faults(contract)
    yield from _recipe_faults(contract)


def _heading_clashes(contract: Contract) -> Iterator[tuple[Path, str]]:
    owners: dict[str, Column] = {}
    for at, column in enumerate(contract.columns):
        places: list[tuple[Path, str]] = [(("name",), column.name)]
        places += [(("aliases", i), alias) for i, alias in enumerate(column.aliases)]
        for part, heading in places:
            owner = owners.setdefault(heading_key(heading), column)
            if owner is not column:
                yield (
                    ("columns", at, *part),
                    f"{heading!r} already names the column '{owner.name}'",
                )


def _column_faults(column: Column) -> Iterator[tuple[Path, str]]:
    if column.required and column.role in _NEVER_REQUIRED:
        yield ("required",), f"a column with the role {column.role} is never required"
    if not column.required and not column.nullable and column.role is not Role.LABEL:
        yield (
            ("nullable",),
            "what files may leave out must be nullable: add 'required: true' or drop 'nullable'",
        )
    yield from _bound_faults(column)
    yield from _format_faults(column)
    yield from _word_faults(column)


def _bound_faults(column: Column) -> Iterator[tuple[Path, str]]:
    low, high = column.minimum, column.maximum
    if low is not None and high is not None and low > high:  # type: ignore[operator]
        yield ("minimum",), f"{low} is above the maximum {high}"


def _format_faults(column: Column) -> Iterator[tuple[Path, str]]:
    if column.formats and column.type is not ColumnType.DATE:
        yield ("formats",), f"only date columns have formats, and this one's type is {column.type}"
        return
    for at, template in enumerate(column.formats):
        try:
            date_parser(template)
        except UnknownDateFormatError as error:
            yield ("formats", at), str(error)
            return
    clash = contradicting_formats(column.formats)
    if clash:
        yield (
            ("formats",),
            f"{clash[0]!r} and {clash[1]!r} read the same text as two different dates",
        )


def _word_faults(column: Column) -> Iterator[tuple[Path, str]]:
    if column.values and column.type not in _WORD_TYPES:
        yield ("values",), f"only category and text columns have values, not {column.type} ones"
    if len(set(column.values)) != len(column.values):
        twice = next(word for word in column.values if column.values.count(word) > 1)
        yield ("values",), f"{twice!r} is listed twice"
    if column.closed and not column.values:
        yield ("closed",), "a closed column needs 'values': nothing would be accepted"


def _role_faults(contract: Contract) -> Iterator[tuple[Path, str]]:
    by_role: dict[Role, list[int]] = {role: [] for role in Role}
    for at, column in enumerate(contract.columns):
        by_role[column.role].append(at)
    for role in (Role.LABEL, Role.TIME, Role.GROUP):
        for extra in by_role[role][1:]:
            yield ("columns", extra, "role"), f"there is one {role} column at most"
    if not by_role[Role.LABEL]:
        yield ("columns",), "no column has the role label: there is nothing to predict"
        return
    label_at = by_role[Role.LABEL][0]
    if contract.label.type is not ColumnType.CATEGORY:
        yield ("columns", label_at, "type"), "the label's type must be category"
    if contract.split is Split.TIME and contract.time is None:
        yield ("split",), "a split by time needs a column with the role time"
    time = contract.time
    if time is not None and time.type is not ColumnType.DATE:
        yield ("columns", by_role[Role.TIME][0], "type"), "the time column's type must be date"
    yield from _group_faults(contract, by_role[Role.GROUP])


def _group_faults(contract: Contract, group_columns: list[int]) -> Iterator[tuple[Path, str]]:
    if contract.group == GROUP_BY_FILE:
        for at in group_columns:
            yield (
                ("columns", at, "role"),
                "rows are grouped by file, so no column has the role group",
            )
        return
    names = [contract.columns[at].name for at in group_columns]
    if contract.group not in names:
        known = ", ".join(names) or "none"
        yield (
            ("group",),
            f"'{contract.group}' is not '{GROUP_BY_FILE}' nor a column of role group ({known})",
        )


def _recipe_faults(contract: Contract) -> Iterator[tuple[Path, str]]:
    columns = {column.name: column for column in contract.columns}
    for at, feature in enumerate(contract.recipe):
        reason = contradiction(feature)
        if reason:
            yield ("recipe", at), reason
        for name in columns_of(feature):
            if name not in columns:
                yield ("recipe", at), f"there is no column '{name}'"
                return
            column = columns[name]
            if column.role in _NOT_FOR_RECIPES:
                yield ("recipe", at), f"the column '{name}' is {column.role}: no recipe may use it"
            if column.type not in accepted_types(feature):
                wanted = " or ".join(sorted(accepted_types(feature)))
                yield ("recipe", at), f"needs a {wanted} column, and '{name}' is {column.type}"
