"""Where a file's headings are, and by what they are held apart."""

from __future__ import annotations

import re
from typing import NamedTuple

from common.contracts import Column, Contract, heading_key
from common.tables.lines import split_cells
from common.tables.plan import Plan
from common.tables.unreadable import UnreadableFile

DELIMITERS = (";", ",", "\t", "|")

_NAMES_SHOWN = 20
_NAME_CHARACTERS = 40
_VALUE = re.compile(r"[\W\d_]*\d[\W\d_]*|\d{1,2}\W?[^\W\d_]{3,9}\W?\d{2,4}")
"""A cell that no heading looks like: a number, a code of digits, a date."""


class Header(NamedTuple):
    """The headings of a file. ``places`` is by canonical name: the index of its cell."""

    at: int
    delimiter: str
    cells: list[str]
    places: dict[str, int]

    @property
    def named_width(self) -> int:
        """Cells up to the last one that has a name: those behind it may be missing."""
        return max(at for at, cell in enumerate(self.cells, start=1) if cell.strip())


class _Candidate(NamedTuple):
    at: int
    delimiter: str
    cells: list[str]
    matched: dict[str, list[int]]


def find_header(lines: list[str], plan: Plan) -> Header:
    """Find the first line that holds every heading that the contract requires.

    Raises:
        UnreadableFile: ``no-header``, saying which headings were looked for and what stood there;
            ``duplicate-header`` when two cells claim one column that is to be read.
    """
    best: _Candidate | None = None
    for at, line in enumerate(lines[: plan.limits.header_lines]):
        candidate = _candidate(at, line, plan)
        if candidate is None:
            continue
        if plan.required <= candidate.matched.keys():
            return _unambiguous(candidate, plan)
        if best is None or len(candidate.matched) > len(best.matched):
            best = candidate
    raise _no_header(best, lines, plan)


def match_headings(cells: list[str], headings: dict[str, Column]) -> dict[str, list[int]]:
    """Find which cells name which column, by canonical name."""
    matched: dict[str, list[int]] = {}
    for at, cell in enumerate(cells):
        column = headings.get(heading_key(cell)) if len(cell) <= 4 * _NAME_CHARACTERS else None
        if column is not None:
            matched.setdefault(column.name, []).append(at)
    return matched


def wanted_headings(names: frozenset[str], contract: Contract) -> str:
    """Tell a person the headings of columns: as files spell them, and the canonical names."""
    return ", ".join(
        f"'{column.aliases[0]}' (or '{column.name}')" if column.aliases else f"'{column.name}'"
        for column in contract.columns
        if column.name in names
    )


def _candidate(at: int, line: str, plan: Plan) -> _Candidate | None:
    best: _Candidate | None = None
    for delimiter in DELIMITERS:
        count = line.count(delimiter)
        if count >= plan.limits.columns:
            return None
        if not count:
            continue
        cells = split_cells(line, delimiter)
        matched = match_headings(cells, plan.headings)
        if best is None or (len(matched), len(cells)) > (len(best.matched), len(best.cells)):
            best = _Candidate(at, delimiter, cells, matched)
    if best is None and line.strip():
        matched = match_headings([line], plan.headings)
        best = _Candidate(at, DELIMITERS[0], [line], matched)
    return best


def _unambiguous(candidate: _Candidate, plan: Plan) -> Header:
    for name, cells in candidate.matched.items():
        if len(cells) > 1 and name in plan.readers:
            spelled = ", ".join(f"'{candidate.cells[at].strip()}'" for at in cells)
            raise UnreadableFile(
                "duplicate-header",
                f"Line {candidate.at + 1} names the column '{name}' {len(cells)} times "
                f"({spelled}), and nothing says which one counts. Remove or rename all but one.",
                looked_for=f"one heading for '{name}'",
                found=spelled,
            )
    places = {name: found[0] for name, found in candidate.matched.items()}
    return Header(candidate.at, candidate.delimiter, candidate.cells, places)


def _no_header(best: _Candidate | None, lines: list[str], plan: Plan) -> UnreadableFile:
    contract, limits = plan.contract, plan.limits
    looked_for = wanted_headings(plan.required, contract)
    searched = min(len(lines), limits.header_lines)
    if best is None:
        found = f"nothing: no line has any text and at most {limits.columns} cells"
    else:
        found = f"line {best.at + 1}: {_described(best, lines)}"
        missing = wanted_headings(plan.required - best.matched.keys(), contract)
        found += f"; missing there: {missing}"
    return UnreadableFile(
        "no-header",
        f"None of the first {searched} lines holds the headings that '{contract.family}' needs: "
        f"{looked_for}. The nearest was {found}. Add the line of headings, or send the file to the "
        "model that it belongs to.",
        looked_for=looked_for,
        found=found,
    )


def _described(best: _Candidate, lines: list[str]) -> str:
    """Name the cells where they are headings; of what may be a row, tell the shape alone."""
    count = f"{len(best.cells)} cell{'' if len(best.cells) == 1 else 's'}"
    recognised = [best.cells[places[0]].strip() for places in best.matched.values()]
    if _is_heading_line(best, lines):
        names = [cell.strip()[:_NAME_CHARACTERS] for cell in best.cells[:_NAMES_SHOWN]]
        more = ", …" if len(best.cells) > _NAMES_SHOWN else ""
        return f"{count} ({', '.join(repr(name) for name in names)}{more})"
    if recognised:
        return f"{count}, of which known headings: {', '.join(map(repr, recognised))}"
    return f"{count}, none of them a known heading"


def _is_heading_line(best: _Candidate, lines: list[str]) -> bool:
    """Headings are words above a line of the same width that holds values as well."""
    if len(best.cells) < 3 or any(_VALUE.fullmatch(cell.strip()) for cell in best.cells):  # noqa: PLR2004 - two cells are any sentence with a comma
        return False
    below = next((line for line in lines[best.at + 1 :] if line.strip()), None)
    if below is None:
        return bool(best.matched)
    cells = split_cells(below, best.delimiter)
    return len(cells) == len(best.cells) and any(_VALUE.fullmatch(cell.strip()) for cell in cells)
