"""Rows told apart but not understood yet: what every format is brought to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from common.tables.faults import RowFault
from common.tables.table import Dialect


class RawTable(NamedTuple):
    """Rows as columns of cells, by canonical name, in parallel with ``lines``.

    ``headings`` are the client's own. ``is_typed``: cells are JSON values, not text. ``broken``
    are rows that have no cells; ``rows_read`` counts them too.
    """

    headings: dict[str, str]
    cells: dict[str, Sequence[Any]]
    lines: list[int]
    broken: list[RowFault]
    is_typed: bool
    dialect: Dialect

    @property
    def rows_read(self) -> int:
        """Every row of the file, whole or broken."""
        return len(self.lines) + len(self.broken)
