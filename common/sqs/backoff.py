"""How long to wait before trying again: exponential, bounded, with jitter so peers spread out."""

from __future__ import annotations

from random import uniform


def pause_seconds(failures: int, *, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row (1 or more): half fixed, half chance."""
    whole = min(longest, first * 2.0 ** min(failures - 1, 32))
    return whole / 2 + uniform(0, whole / 2)  # noqa: S311 - spreads load, keeps no secret
