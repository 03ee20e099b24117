"""What can be wrong with a row or a cell, and how it is told to the client."""

from __future__ import annotations

from typing import Any, NamedTuple

from common.contracts import Column, Role
from common.messages import Violation

SHOWN_CHARACTERS = 40


class Fault(NamedTuple):
    """Why a cell cannot be used: a stable code, and what would have been right."""

    code: str
    expected: str


class RowFault(NamedTuple):
    """Why a line of the file is no row of the table."""

    line: int
    code: str
    found: str
    expected: str


def cell_violation(fault: Fault, column: Column, heading: str, line: int, cell: Any) -> Violation:
    """Tell a cell's fault in the client's words. Personal data is described, not shown."""
    found = _shape(cell) if column.role is Role.PERSONAL else _shown(cell)
    return Violation(
        code=fault.code,
        line=line,
        column=heading,
        message=f"Line {line}, column '{heading}': found {found}, expected {fault.expected}.",
        found=found,
        expected=fault.expected,
    )


def row_violation(fault: RowFault) -> Violation:
    """Tell what is wrong with a row as a whole."""
    return Violation(
        code=fault.code,
        line=fault.line,
        column=None,
        message=f"Line {fault.line}: found {fault.found}, expected {fault.expected}.",
        found=fault.found,
        expected=fault.expected,
    )


def _shown(cell: Any) -> str:
    if cell is None:
        return "nothing"
    if isinstance(cell, bool):
        return "a boolean"
    if isinstance(cell, dict | list):
        return "an object" if isinstance(cell, dict) else "an array"
    text = str(cell)
    stripped = text.strip()
    if not stripped:
        return "an empty cell"
    shown = stripped[:SHOWN_CHARACTERS]
    if not shown.isprintable():
        shown = "".join(
            letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in shown
        )
    return f"'{shown}…'" if len(stripped) > SHOWN_CHARACTERS else f"'{shown}'"


def _shape(cell: Any) -> str:
    if not isinstance(cell, str):
        return _shown(cell) if cell is None or isinstance(cell, bool | dict | list) else "a number"
    stripped = cell.strip()
    if not stripped:
        return "an empty cell"
    kinds = [
        name
        for name, holds in (
            ("letters", any(letter.isalpha() for letter in stripped)),
            ("digits", any(letter.isdigit() for letter in stripped)),
            ("signs", any(not letter.isalnum() for letter in stripped)),
        )
        if holds
    ]
    count = "1 character" if len(stripped) == 1 else f"{len(stripped)} characters"
    return f"{count} ({', '.join(kinds)})"
