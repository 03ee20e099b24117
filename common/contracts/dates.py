"""The date formats that a contract may name: ``strptime``'s directives, read without padding."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from itertools import pairwise

DateParser = Callable[[str], date | None]
"""Text to date; None when the text is not in the parser's format."""

REMEMBERED_DATES = 4096
"""Texts a parser remembers: the same few hundred days come back in every file."""

_NUMBERS = {"%d": "day", "%m": "month", "%y": "year", "%Y": "year"}
_DIRECTIVE = re.compile(r"%.")
_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "jan january janeiro",
            "feb february fev fevereiro",
            "mar march março",
            "apr april abr abril",
            "may mai maio",
            "jun june junho",
            "jul july julho",
            "aug august ago agosto",
            "sep sept september set setembro",
            "oct october out outubro",
            "nov november novembro",
            "dec december dez dezembro",
        ),
        start=1,
    )
    for word in words.split()
}
_PIVOT = 69
_CLOCK = "(?:[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
"""A time of day behind a date is dropped: programs add midnight to what was a day."""

_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ][0-9:.,]{4,}\s?(?:Z|[+-][0-9:]{4,6})?)?")


class UnknownDateFormatError(ValueError):
    """A format that uses a directive we do not read, or leaves out the year or the month."""


@lru_cache(maxsize=256)
def date_parser(template: str) -> DateParser:
    """Make a parser of one format.

    ``%d``, ``%m``, ``%b``, ``%y`` and ``%Y`` are known; day and month need no padding unless
    nothing stands between them and the next number. Without ``%d`` a date is the month's first.

    Raises:
        UnknownDateFormatError: the format cannot tell a date.
    """
    directives = _DIRECTIVE.findall(template)
    _check(template, directives)
    clock = _CLOCK if "%d" in directives else ""
    match = re.compile(_pattern(template) + clock, re.IGNORECASE).fullmatch
    order = [{"%b": "month"}.get(directive) or _NUMBERS[directive] for directive in directives]
    at = {part: order.index(part) for part in order}
    year_at, month_at, day_at = at["year"], at["month"], at.get("day")
    is_named, is_short = "%b" in directives, "%y" in directives

    @lru_cache(maxsize=REMEMBERED_DATES)
    def parse(text: str) -> date | None:
        found = match(text)
        if found is None:
            return None
        groups = found.groups()
        month = _MONTHS.get(groups[month_at].lower(), 0) if is_named else int(groups[month_at])
        year = int(groups[year_at])
        if is_short:
            year += 1900 if year >= _PIVOT else 2000
        return _date_or_none(year, month, 1 if day_at is None else int(groups[day_at]))

    return parse


def iso_date(text: str) -> date | None:
    """Read ISO 8601, with or without a time of day, which is dropped."""
    found = _ISO.fullmatch(text)
    return _date_or_none(*map(int, found.groups())) if found else None


def contradicting_formats(templates: tuple[str, ...]) -> tuple[str, str] | None:
    """Find two formats that read one text as two dates: nobody could tell which was meant."""
    parsers = [date_parser(template) for template in templates]
    for day in (date(2003, 4, 5), date(2011, 12, 10)):
        for one, template in zip(parsers, templates, strict=True):
            text = day.strftime(template)
            meant = one(text)
            for other, rival in zip(parsers, templates, strict=True):
                read = other(text)
                if read is not None and read != meant:
                    return template, rival
    return None


def _check(template: str, directives: list[str]) -> None:
    unknown = [found for found in directives if found not in _NUMBERS and found != "%b"]
    if unknown:
        raise UnknownDateFormatError(f"{unknown[0]} is not one of %d, %m, %b, %y, %Y")
    parts = sorted("%m" if part == "%b" else part.lower() for part in directives)
    if parts not in (["%d", "%m", "%y"], ["%m", "%y"]):
        raise UnknownDateFormatError(
            f"{template!r} must name the year, the month and at most the day"
        )


def _pattern(template: str) -> str:
    pieces = re.split(r"(%.)", template)
    packed = any(
        not between and before.startswith("%") and after.startswith("%")
        for (before, between), (_, after) in pairwise(pairwise(pieces))
    )
    return "".join(_piece_pattern(piece, packed=packed) for piece in pieces)


def _piece_pattern(piece: str, *, packed: bool) -> str:
    match piece:
        case "%Y":
            return "([0-9]{4})"
        case "%y":
            return "([0-9]{2})"
        case "%b":
            return r"([^\W\d_]{3,12})\.?"
        case "%d" | "%m":
            return "([0-9]{2})" if packed else "([0-9]{1,2})"
        case _:
            return re.escape(piece)


def _date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
