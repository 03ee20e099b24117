"""What is sent: files that can be told apart by their answers, each in one of the ways to send.

Everything follows from the seed, so that a run that failed can be sent again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from tests.consumer.tiny_models import CARRIERS

GOOD_ROWS = 6
SLOW_ROWS = 4096
POISON_SHARE = 100
"""One file in so many is poison."""
CRASHING_SHARE = 1500
"""One file in so many kills every worker that takes it, and costs its neighbours attempts."""
SLOW_SHARE = 2500
"""Few: one that is begun anew at every kill keeps the cores from the others."""
FIRST_LINE = 2
"""Of the rows: the header is line 1."""


class Way(StrEnum):
    """How a file is sent, and how its answer is come by."""

    ANONYMOUS = "wait, the service's own id"
    OWN_ID = "wait, the client's id"
    KEY = "wait, an Idempotency-Key"
    LATER = "respond-async, then poll"
    CALLBACK = "respond-async, with a callback"


class Kind(StrEnum):
    """What the workers can do with a file."""

    GOOD = "good"
    SLOW = "slow"
    UNUSABLE = "poison: its model version cannot be loaded"
    CRASHING = "poison: kills its worker"


_WAYS = {Way.ANONYMOUS: 25, Way.OWN_ID: 20, Way.KEY: 25, Way.LATER: 20, Way.CALLBACK: 10}


@dataclass(frozen=True, slots=True)
class Sending:
    """One file and how it is sent, ``at`` so many seconds after the start.

    ``name`` is the client's prediction id, or its Idempotency-Key.
    """

    number: int
    kind: Kind
    way: Way
    name: str
    at: float
    bits: int

    @property
    def rows(self) -> int:
        """Rows of the file, bad ones included."""
        return self.bits + (SLOW_ROWS if self.kind is Kind.SLOW else GOOD_ROWS)

    @property
    def bad_lines(self) -> list[int]:
        """Physical lines whose weight cannot be read: they spell the number in binary."""
        return [row + FIRST_LINE for row in range(self.bits) if self.number >> row & 1]

    @property
    def good_lines(self) -> list[int]:
        """Physical lines that are to be labelled."""
        bad = set(self.bad_lines)
        return [row + FIRST_LINE for row in range(self.rows) if row + FIRST_LINE not in bad]

    def columns(self) -> dict[str, list[Any]]:
        """The good rows, typed, by column."""
        rows = [self._row(line) for line in self.good_lines]
        weights, days, carriers = zip(*rows, strict=True)
        return {"weight": list(weights), "sent": list(days), "carrier": list(carriers)}

    def content(self) -> bytes:
        """The file."""
        bad = set(self.bad_lines)
        lines = ["weight,sent,carrier"]
        for row in range(self.rows):
            weight, day, carrier = self._row(row + FIRST_LINE)
            shown = "twelve" if row + FIRST_LINE in bad else weight
            lines.append(f"{shown},{day.isoformat()},{carrier}")
        return ("\n".join(lines) + "\n").encode()

    def _row(self, line: int) -> tuple[Decimal, date, str]:
        mixed = (self.number * 2654435761 + line * 40503) & 0xFFFFFFFF
        return (
            Decimal(mixed % 99_999 + 1) / 100,
            date(2024, 1, 1) + timedelta(days=mixed // 7 % 300),
            CARRIERS[mixed // 11 % len(CARRIERS)],
        )


def plan(seed: int, count: int, seconds: float) -> Sequence[Sending]:
    """Give ``count`` sendings, spread evenly over ``seconds``, in the order of their start."""
    draw = random.Random(seed)  # noqa: S311 - the same every time is the point
    kinds = _kinds(count, draw)
    ways = draw.choices(list(_WAYS), list(_WAYS.values()), k=count)
    bits = max(13, count.bit_length())
    return [
        Sending(
            number=number,
            kind=kind,
            # A wait of seconds says nothing of a file that takes longer: it is come back for.
            way=Way.LATER if kind in (Kind.SLOW, Kind.CRASHING) else way,
            name=str(UUID(int=draw.getrandbits(128), version=4)),
            at=seconds * number / count,
            bits=bits,
        )
        for number, (kind, way) in enumerate(zip(kinds, ways, strict=True))
    ]


def slow_files(seed: int, first: int, count: int) -> Sequence[Sending]:
    """Give files whose prediction outlasts every lease that is not renewed."""
    draw = random.Random(seed + first)  # noqa: S311 - as above
    return [
        Sending(
            number=number,
            kind=Kind.SLOW,
            way=Way.LATER,
            name=str(UUID(int=draw.getrandbits(128), version=4)),
            at=0.0,
            bits=max(13, (first + count).bit_length()),
        )
        for number in range(first, first + count)
    ]


def _kinds(count: int, draw: random.Random) -> list[Kind]:
    poison = max(2, count // POISON_SHARE)
    crashing = max(1, count // CRASHING_SHARE)
    slow = max(1, count // SLOW_SHARE)
    kinds = [Kind.CRASHING] * crashing + [Kind.UNUSABLE] * (poison - crashing) + [Kind.SLOW] * slow
    kinds += [Kind.GOOD] * (count - len(kinds))
    draw.shuffle(kinds)
    return kinds
