"""What a step hands back to whoever ran it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Outcome:
    """A small typed summary, and the files that the step wrote, by their names in the folder."""

    summary: msgspec.Struct
    files: list[str]
