"""A family's profile: how its sample files are written, and what its people buy.

A profile is a YAML beside this module. The labels themselves are the contract's.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
import yaml

from common.errors import PermanentError

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a profile; a key that nobody knows is a spelling mistake."""


class Habit(_Strict, frozen=True, kw_only=True):
    """How rows of one label look.

    ``weight`` is how common it is, ``amount`` the median and ``spread`` the deviation of the
    amount's logarithm, ``cents`` the usual ends of a price, ``words`` who sells it, ``season`` what
    a month multiplies the weight by, ``away`` how often it is bought far from home.
    """

    weight: float = 0.3
    amount: float = 60.0
    spread: float = 0.8
    cents: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    season: dict[int, float] = {}
    away: Share = 0.1


class Field(StrEnum):
    """What a column of a sample file shows; any other name is drawn once a file."""

    DATE = "date"
    AMOUNT = "amount"
    LABEL = "label"
    WORDS = "words"
    PLACE = "place"
    COUNTRY = "country"
    SPENT = "spent"


class Heading(_Strict, frozen=True, kw_only=True):
    """A column of a dialect: its heading as written, its field, and what stands around a cell."""

    heading: str
    field: str
    before: str = ""
    after: str = ""


class Dialect(_Strict, frozen=True, kw_only=True):
    """How a file is written. ``trimmed`` drops an amount's trailing zeros and shows 0 as a dash."""

    encoding: str
    newline: Literal["\n", "\r\n"]
    delimiter: str
    quoted: bool
    decimal_mark: Literal[".", ","]
    thousands_mark: Literal[".", ",", ""]
    trimmed: bool
    date_format: str
    day_padded: bool
    columns: tuple[Heading, ...]


class Profile(_Strict, frozen=True, kw_only=True):
    """Everything that a family's sample files are made of.

    A file covers ``months`` months from ``first_day``; with ``consecutive``, file n begins where
    file n-1 ended. ``per_file`` are fields drawn once a file. ``junk`` are cells that stand where a
    place should, at ``junk_share``; ``noise`` is the share of rows with a label at random.
    """

    file_name: str
    rows: tuple[int, int]
    first_day: date
    months: int
    consecutive: bool
    homes: tuple[str, ...]
    country: str
    noise: Share
    unlabelled: Share
    refunds: Share
    junk: tuple[str, ...]
    junk_share: Share
    habits: dict[str, Habit]
    per_file: dict[str, tuple[str, ...]]
    dialects: tuple[Dialect, ...]


def shipped_profile(family: str) -> Profile:
    """The profile that comes with a family.

    Raises:
        PermanentError: code "no-profile" when the family has none.
    """
    source = files(__package__) / f"{family}.yaml"
    if not source.is_file():
        raise PermanentError(
            "no-profile",
            f"There is no sample profile for {family!r}: write {family}.yaml beside the others in "
            "orchestration/samples, or train on files of your own.",
        )
    return msgspec.convert(yaml.safe_load(source.read_text("utf-8")), Profile)
