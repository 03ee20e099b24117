"""How a canary fares beside its champion: what is remembered of both, and when it is too bad.

The two are compared over the same minutes in the same replica, so that an outage that hits both
ends no canary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

WINDOW_SECONDS = 300.0
MOST_REMEMBERED = 500
LEAST_FOR_ERRORS = 20
LEAST_FOR_LATENCY = 40
"""A 95th percentile of fewer is the slowest two of them, which is chance."""

ERRORS_ABOVE_CHAMPION = 0.05
"""Share of all outcomes: one error in twenty more than the champion makes."""

TIMES_AS_SLOW = 2.0
SLOWER_BY_SECONDS = 0.1
"""Both must hold: twice nothing is nothing that a client notices."""


class BreachKind(StrEnum):
    """Why a canary is ended."""

    ERRORS = "errors"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Breach:
    """What ended a canary: ``found`` has the figures, for people."""

    kind: BreachKind
    found: str


@dataclass(slots=True)
class Window:
    """The last outcomes of one side: seconds until the answer, or None for an error."""

    _outcomes: deque[tuple[float, float | None]] = field(
        default_factory=lambda: deque(maxlen=MOST_REMEMBERED)
    )

    def add(self, now: float, seconds: float | None) -> None:
        """Remember one outcome; ``now`` is monotonic, in seconds."""
        self._outcomes.append((now, seconds))

    def lately(self, now: float) -> list[float | None]:
        """What is remembered of the last minutes; the rest is forgotten."""
        while self._outcomes and self._outcomes[0][0] < now - WINDOW_SECONDS:
            self._outcomes.popleft()
        return [seconds for _, seconds in self._outcomes]


def judge(canary: Sequence[float | None], champion: Sequence[float | None]) -> Breach | None:
    """Whether the canary has to end. Without enough outcomes nothing is judged."""
    return _errors(canary, champion) or _latency(canary, champion)


def _errors(canary: Sequence[float | None], champion: Sequence[float | None]) -> Breach | None:
    if len(canary) < LEAST_FOR_ERRORS:
        return None
    found = _error_share(canary)
    beside = _error_share(champion) if len(champion) >= LEAST_FOR_ERRORS else 0.0
    if found <= beside + ERRORS_ABOVE_CHAMPION:
        return None
    return Breach(
        BreachKind.ERRORS,
        f"{found:.1%} of {len(canary)} files without an answer; the champion had {beside:.1%} of "
        f"{len(champion)}, and {ERRORS_ABOVE_CHAMPION:.0%} more are allowed",
    )


def _latency(canary: Sequence[float | None], champion: Sequence[float | None]) -> Breach | None:
    own = [seconds for seconds in canary if seconds is not None]
    others = [seconds for seconds in champion if seconds is not None]
    if min(len(own), len(others)) < LEAST_FOR_LATENCY:
        return None
    found, beside = _p95(own), _p95(others)
    allowed = max(beside * TIMES_AS_SLOW, beside + SLOWER_BY_SECONDS)
    if found <= allowed:
        return None
    return Breach(
        BreachKind.LATENCY,
        f"p95 of {len(own)} answers {found * 1000:.0f} ms; the champion's of {len(others)} was "
        f"{beside * 1000:.0f} ms, and up to {allowed * 1000:.0f} ms are allowed",
    )


def _error_share(outcomes: Sequence[float | None]) -> float:
    return sum(seconds is None for seconds in outcomes) / len(outcomes)


def _p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(0.95 * (len(seconds) - 1))]
