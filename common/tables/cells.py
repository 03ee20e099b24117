"""From the distinct cells of one column to values, or to what is wrong with them.

A column repeats itself: every distinct cell is read once.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from common.contracts import Column, ColumnType
from common.contracts.dates import DateParser, date_parser, iso_date
from common.tables import numbers
from common.tables.faults import Fault

Values = dict[str, Any]
Faults = dict[str, Fault]

MAX_DATE_CHARACTERS = 40

_CODES = {
    ColumnType.DECIMAL: "not-a-decimal",
    ColumnType.INTEGER: "not-an-integer",
    ColumnType.DATE: "not-a-date",
    ColumnType.CATEGORY: "not-text",
    ColumnType.TEXT: "not-text",
}


class Reading(NamedTuple):
    """What the distinct cells of a column turned out to mean, and the mark of its decimals."""

    values: Values
    faults: Faults
    mark: str


class ColumnReader:
    """Reads one column of a contract, in any file. Holds no state of a file."""

    def __init__(
        self, column: Column, *, decimal_mark: str, nullable: bool, cell_characters: int
    ) -> None:
        self.column = column
        self._preferred_mark = decimal_mark
        self._nullable = nullable
        self._cell_characters = cell_characters
        self._spellings = {found.strip(): meaning for found, meaning in column.spellings.items()}
        self._special = frozenset({"", *self._spellings})
        self._parsers: list[DateParser] = [*map(date_parser, column.formats), iso_date]
        self._closed = {word.casefold(): word for word in column.values} if column.closed else {}
        self._absent = Fault("missing-value", _expected(column, decimal_mark))

    @property
    def is_number(self) -> bool:
        """Whether cells may be numbers of JSON."""
        return self.column.type in (ColumnType.DECIMAL, ColumnType.INTEGER)

    def read(self, distinct: Collection[str]) -> Reading:
        """Read distinct cells as found. Every one of them is in ``values`` or in ``faults``."""
        values: Values = {}
        faults: Faults = {}
        cells, texts = self._with_meaning(distinct, values, faults)
        mark = numbers.decimal_mark(texts, self._preferred_mark) if self.is_number else ""
        parsed, is_clean = self._parsed(texts, mark)
        if is_clean:
            values.update(zip(cells, parsed, strict=True))
        else:
            for cell, value in zip(cells, parsed, strict=True):
                (faults if isinstance(value, Fault) else values)[cell] = value
        self._check_bounds(values, faults)
        return Reading(values, faults, mark)

    def json_value(self, found: Any) -> Any:
        """Read a value of JSON that is neither text nor null: a value, or a ``Fault``."""
        if not self.is_number or isinstance(found, bool) or not isinstance(found, int | Decimal):
            return Fault(_CODES[self.column.type], _expected(self.column, self._preferred_mark))
        number = Decimal(found)
        if not numbers.within_digits(number):
            return Fault("not-a-decimal", "at most 18 digits before and after the decimal mark")
        value = _integral(number) if self.column.type is ColumnType.INTEGER else number
        return value if isinstance(value, Fault) else self._outside(value) or value

    def _with_meaning(
        self, distinct: Collection[str], values: Values, faults: Faults
    ) -> tuple[list[str], list[str]]:
        """Settle the cells that hold nothing; give the others, as found and as they are meant."""
        cells = list(distinct)
        texts = [cell.strip() for cell in cells]
        if self._special.isdisjoint(texts):
            return cells, texts
        kept: list[str] = []
        meant: list[str] = []
        for cell, text in zip(cells, texts, strict=True):
            meaning = self._spellings.get(text, text)
            if meaning:
                kept.append(cell)
                meant.append(meaning)
            elif self._nullable:
                values[cell] = None
            else:
                faults[cell] = self._absent
        return kept, meant

    def _parsed(self, texts: list[str], mark: str) -> tuple[list[Any], bool]:
        """Read texts into values and faults, and say whether there surely is no fault."""
        match self.column.type:
            case ColumnType.DECIMAL:
                at_once = numbers.exact_numbers(texts, mark)
                if at_once is not None:
                    return at_once, True
                return [self._decimal(text, mark) for text in texts], False
            case ColumnType.INTEGER:
                return [self._integer(text, mark) for text in texts], False
            case ColumnType.DATE:
                return [self._date(text) for text in texts], False
            case _:
                return [self._word(text) for text in texts], False

    def _decimal(self, text: str, mark: str) -> Any:
        number = numbers.exact_number(text, mark)
        return Fault("not-a-decimal", _expected(self.column, mark)) if number is None else number

    def _integer(self, text: str, mark: str) -> Any:
        number = numbers.exact_number(text, mark)
        if number is None:
            return Fault("not-an-integer", _expected(self.column, mark))
        return _integral(number)

    def _date(self, text: str) -> Any:
        if len(text) <= MAX_DATE_CHARACTERS:
            for parser in self._parsers:
                day = parser(text)
                if day is not None:
                    return day
        return Fault("not-a-date", _expected(self.column, self._preferred_mark))

    def _word(self, text: str) -> Any:
        if len(text) > self._cell_characters:
            return Fault("oversized-cell", f"at most {self._cell_characters} characters")
        if self._closed:
            known = self._closed.get(text.casefold())
            return known or Fault("unknown-value", _expected(self.column, self._preferred_mark))
        return text

    def _check_bounds(self, values: Values, faults: Faults) -> None:
        low, high = self.column.minimum, self.column.maximum
        if low is None and high is None:
            return
        present = [value for value in values.values() if value is not None]
        if not present or not (self._outside(min(present)) or self._outside(max(present))):
            return
        for cell, value in values.items():
            fault = None if value is None else self._outside(value)
            if fault:
                faults[cell] = fault
        for cell in faults:
            values.pop(cell, None)

    def _outside(self, value: Any) -> Fault | None:
        low, high = self.column.minimum, self.column.maximum
        if low is not None and value < low:
            return Fault("below-minimum", f"{low} or more")
        if high is not None and value > high:
            return Fault("above-maximum", f"{high} or less")
        return None


def _integral(number: Decimal) -> int | Fault:
    whole = int(number)
    return whole if whole == number else Fault("not-an-integer", "a whole number such as 37")


def _expected(column: Column, mark: str) -> str:
    match column.type:
        case ColumnType.DECIMAL:
            return f"a number such as {numbers.example(mark)}"
        case ColumnType.INTEGER:
            return "a whole number such as 37"
        case ColumnType.DATE:
            day = date(2019, 12, 4)
            shown = [day.strftime(template) for template in column.formats]
            return f"a date such as {' or '.join([*shown[:2], day.isoformat()])}"
        case _ if column.closed:
            return f"one of {', '.join(column.values[:20])}"
        case _:
            return "some text"
