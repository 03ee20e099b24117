"""A row of a sample file, before it is written in a dialect."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """Something bought. ``spent`` is what the file's rows before it sum to; no label is a gap."""

    day: date
    label: str | None
    amount: Decimal
    words: str
    place: str
    country: str
    spent: Decimal
