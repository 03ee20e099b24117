"""A family's contract, as everything else sees it."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

import msgspec

from common.contracts.columns import Column, Role
from common.contracts.recipe import Feature, columns_of

GROUP_BY_FILE = "file"


class Split(StrEnum):
    """How training keeps apart what it learns from and what it is judged on. Never at random."""

    GROUP = "group"
    TIME = "time"


class Contract(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """What one family of files looks like and what a model makes of it.

    ``group`` is ``file`` (a file is the unit that must not leak) or the name of a column.
    ``decimal_mark`` settles numbers that could be read two ways, ``letters`` are the non-ASCII
    letters that the family's language uses. ``source_text`` is the YAML that it was parsed from,
    which is stored with every model version.
    """

    family: str
    title: str
    columns: tuple[Column, ...]
    group: str
    split: Split
    recipe: tuple[Feature, ...]
    description: str = ""
    decimal_mark: Literal[",", "."] = "."
    letters: str = ""
    source_text: str = ""

    @property
    def label(self) -> Column:
        """The column that a model learns to fill in."""
        return next(column for column in self.columns if column.role is Role.LABEL)

    @property
    def time(self) -> Column | None:
        """The column that orders rows in time, if the family has one."""
        return next((column for column in self.columns if column.role is Role.TIME), None)

    def column(self, name: str) -> Column:
        """Find a column by its canonical name.

        Raises:
            KeyError: the contract has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def recipe_columns(contract: Contract) -> tuple[str, ...]:
    """Canonical names of the columns that the recipe reads, in the contract's order.

    They, and no others, travel from producer to consumer.
    """
    used = {name for feature in contract.recipe for name in columns_of(feature)}
    return tuple(column.name for column in contract.columns if column.name in used)


def contract_digest(contract: Contract) -> str:
    """SHA-256 in hexadecimal of what the contract means: comments and layout do not count."""
    meaning = msgspec.structs.replace(contract, source_text="")
    return hashlib.sha256(msgspec.json.encode(meaning, order="sorted")).hexdigest()
