"""Message bodies that the broker's tests send."""

from __future__ import annotations

import msgspec


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    text: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="done"):
    number: int
    text: str = ""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="refused"):
    code: str
    number: int | None = None


Answer = Done | Refused
