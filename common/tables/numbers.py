"""Numbers as people and programs write them, exact.

A column of numbers is written in one style. Which one is read off the cells that can only be read
one way; the contract settles the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

MARKS: Final = (",", ".")
MAX_DIGITS: Final = 18
"""Digits before the mark, and after it: more is an identifier or damage, not an amount."""

_GROUPS = {",": ".", ".": ","}
_SPACES = " \u00a0\u202f\u2009"


def _evidence(mark: str) -> re.Pattern[str]:
    """What only makes sense when ``mark`` is the decimal mark.

    A mark with any but three digits behind it, the other sign in front of a group of three that
    goes on, or a mark behind a lone zero.
    """
    own, other = re.escape(mark), re.escape(_GROUPS[mark])
    return re.compile(
        rf"(?<![0-9.,]){own}[0-9]|{own}(?:[0-9]{{1,2}}|[0-9]{{4,}})(?![0-9.,])"
        rf"|{other}[0-9]{{3}}(?=[.,])|(?<![0-9.,])0{own}[0-9]"
    )


def _written(mark: str) -> re.Pattern[str]:
    own = re.escape(mark)
    separators = re.escape(_GROUPS[mark] + _SPACES + "'\u2019")
    return re.compile(
        rf"[0-9]{{1,3}}(?:([{separators}])[0-9]{{3}}(?:\1[0-9]{{3}}){{0,5}})(?:{own}[0-9]{{1,18}})?"
        rf"|[0-9]{{1,18}}(?:{own}[0-9]{{0,18}})?"
        rf"|{own}[0-9]{{1,18}}"
    )


_EVIDENCE = {mark: _evidence(mark) for mark in MARKS}
_WRITTEN = {mark: _written(mark) for mark in MARKS}


def _plain(mark: str) -> str:
    """How most amounts are written: digits, perhaps in groups, perhaps a minus in front."""
    own, other = re.escape(mark), re.escape(_GROUPS[mark])
    return rf"-?(?:[0-9]{{1,18}}|[0-9]{{1,3}}(?:{other}[0-9]{{3}}){{1,5}})(?:{own}[0-9]{{1,18}})?"


_PLAIN = {mark: re.compile(_plain(mark)) for mark in MARKS}
_ALL_PLAIN = {mark: re.compile(rf"(?:{_plain(mark)}\n)+") for mark in MARKS}
_CURRENCY = r"(?:R\$|US\$|[$£€¥]|[A-Z]{3}(?![A-Za-z]))"
_DRESSED = re.compile(
    rf"(?P<open>\()?\s*(?:(?P<before>[+\-\u2212])\s*)?(?:{_CURRENCY}\s*)?"
    rf"(?:(?P<inner>[+\-\u2212])\s*)?(?P<body>[0-9.,'\u2019{_SPACES}]*[0-9.,])"
    rf"(?:\s*{_CURRENCY})?(?P<after>[+\-\u2212])?\s*(?P<close>\))?"
)


def decimal_mark(cells: Collection[str], preferred: str) -> str:
    """Decide which sign is the decimal mark of a column's cells; on a tie, the preferred one."""
    other = _GROUPS[preferred]
    against = _votes(other, (cell for cell in cells if other in cell))
    if not against:  # the usual file: most of its cells need no look
        return preferred
    return other if against > _votes(preferred, cells) else preferred


def _votes(mark: str, cells: Iterable[str]) -> int:
    return len(_EVIDENCE[mark].findall("\n".join(cells)))


def exact_numbers(texts: list[str], mark: str) -> list[Decimal] | None:
    """Read a whole column at once; None when some cell takes a closer look."""
    joined = "\n".join(texts) + "\n"
    if not _ALL_PLAIN[mark].fullmatch(joined) or joined.count("\n") != len(texts):
        return None
    return list(map(Decimal, _canonical(joined, mark).split()))


def exact_number(text: str, mark: str) -> Decimal | None:
    """Read one number written with ``mark``; None when it is not one.

    Signs may stand in front, behind (``5,00-``) or be parentheses, a currency may stand on either
    side; thousands may be held apart, by one and the same sign throughout. An exponent is refused:
    a spreadsheet has thrown the digits away.
    """
    if _PLAIN[mark].fullmatch(text):
        return Decimal(_canonical(text, mark))
    dressed = _DRESSED.fullmatch(text)
    if dressed is None:
        return None
    signs = [dressed[part] for part in ("before", "inner", "after") if dressed[part]]
    is_enclosed = dressed["open"] is not None
    if is_enclosed != (dressed["close"] is not None) or len(signs) + is_enclosed > 1:
        return None
    body = dressed["body"].strip(_SPACES)
    written = _WRITTEN[mark].fullmatch(body)
    if written is None:
        return None
    if written[1]:
        body = body.replace(written[1], "")
    number = Decimal(body.replace(mark, "."))
    return -number if is_enclosed or (signs and signs[0] != "+") else number


def _canonical(plain: str, mark: str) -> str:
    ungrouped = plain.replace(_GROUPS[mark], "")
    return ungrouped.replace(",", ".") if mark == "," else ungrouped


def within_digits(number: Decimal) -> bool:
    """Whether a number is finite and of a size that an amount can have."""
    if not number.is_finite():
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_DIGITS and number.adjusted() < MAX_DIGITS


def example(mark: str) -> str:
    """Show a person how a number in this style looks."""
    return "1.234,56" if mark == "," else "1,234.56"
