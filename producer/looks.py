"""When a reply is overdue, so that the store is asked for the result instead.

A look costs the store a call, and nearly always the reply is only slow: so the first look comes
once a reply takes twice as long as replies took lately, never before four tenths of a second, and
early enough that a lost reply costs no caller the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SOONEST_SECONDS = 0.4
"""Long after a usual reply, and early enough to answer within one second all the same."""
LATEST_SHARE = 0.8
"""Of the wait: what is left is for the look itself, and for one more."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
PAUSE_GROWTH = 1.5
MOST_LOOKING = 8
"""Looks at once. Half of the connections to the store: promises need the others."""
FRESH_SECONDS = 5.0
SAMPLE_WEIGHT = 0.1


def look_pauses(wait_seconds: float, usual_seconds: float) -> Iterator[float]:
    """Pauses before each look, until ``wait_seconds`` are over."""
    pause = min(max(SOONEST_SECONDS, 2 * usual_seconds), LATEST_SHARE * wait_seconds)
    left, next_pause = wait_seconds, FIRST_PAUSE_SECONDS
    while left - pause > FIRST_PAUSE_SECONDS / 2:
        yield pause
        left -= pause
        pause, next_pause = next_pause, min(next_pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        pause = min(pause, left)
    yield left


@dataclass(slots=True)
class ReplyTimes:
    """How long replies took lately, at this replica."""

    clock: Callable[[], float] = time.monotonic
    _usual: float = 0.0
    _heard_at: float = float("-inf")

    def heard(self, seconds: float) -> None:
        """Take in how long one reply took."""
        usual = self.usual
        self._usual = usual + SAMPLE_WEIGHT * (seconds - usual) if usual else seconds
        self._heard_at = self.clock()

    @property
    def usual(self) -> float:
        """Seconds that a reply takes; 0 when none came lately."""
        return self._usual if self.clock() - self._heard_at <= FRESH_SECONDS else 0.0


@dataclass(slots=True)
class LookRoom:
    """At most ``most`` looks at once: a store that is slow must not be asked ever more."""

    most: int = MOST_LOOKING
    _looking: int = 0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there is room for one more look, which takes it while the block runs."""
        if self._looking >= self.most:
            yield False
            return
        self._looking += 1
        try:
            yield True
        finally:
            self._looking -= 1
