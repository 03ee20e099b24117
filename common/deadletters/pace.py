"""How fast letters are worked on: all at once, or so many a second."""

from __future__ import annotations

import asyncio
import time

from common.sqs.limits import BATCH_ENTRIES

_STEPS_A_SECOND = 10
"""A high rate goes in steps of several letters, so that their calls share a batch."""


class Pace:
    """Turns for letters. ``per_second`` is positive; None lets every turn begin at once."""

    def __init__(self, per_second: float | None = None) -> None:
        self._per_second = per_second
        self._next = 0.0

    @property
    def step(self) -> int:
        """How many letters to take in one turn."""
        if self._per_second is None:
            return BATCH_ENTRIES
        return max(1, min(BATCH_ENTRIES, int(self._per_second / _STEPS_A_SECOND)))

    async def turn(self, count: int) -> None:
        """Wait until ``count`` more letters may be worked on."""
        if self._per_second is None:
            return
        now = time.monotonic()
        begin = max(now, self._next)
        # A turn missed is not made up for: the rate is a ceiling, not an average.
        self._next = begin + count / self._per_second
        await asyncio.sleep(begin - now)
