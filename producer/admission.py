"""Whether a file is taken on: a wait that cannot be kept is refused now rather than broken later.

Nothing is asked of the queue for it: the replica measures its own requests, and a reading of the
queue is at hand that is about a second old. Its guesses err towards taking the file, because a
file that comes too late is still answered, by a 202.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

FRESH_SECONDS = 5.0
"""How long a measurement says something about now."""
AT_HAND = 20
"""Requests that a worker takes on at once: so many under way are no sign of a backlog yet."""
SAMPLE_WEIGHT = 0.2
RECENT_SECONDS = 2.0
RECENT_ANSWERS = 100
FEWEST_ANSWERS = 2
LEAST_SPAN_SECONDS = 0.1
LATE_SECONDS = 0.1
"""An event loop that is later than this, time and again, has more work than time."""
HICCUP_SECONDS = 2 * LATE_SECONDS
"""What one lateness counts for at most: it takes four in a row until nobody is taken on."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is known of one model's queue now.

    ``awaited``: requests of this replica that have no answer yet. ``answer_rate``: the answers a
    second that they get. ``queued``: requests that no worker has taken on, whoever sent them.
    ``drain_rate``: how many of those a second are taken on, at least. ``silent_seconds``: for how
    long there was no answer although some were awaited. A rate of None is not known.
    """

    awaited: int = 0
    answer_rate: float | None = None
    queued: int = 0
    drain_rate: float | None = None
    silent_seconds: float = 0.0


def predicted_wait(load: Load) -> float:
    """Seconds until a file that is sent now would be answered; 0 when nothing speaks for a wait.

    Little's law, twice: for this replica's requests, whose share of the workers needs not be
    known, and for the whole queue, where others' requests are, too. Neither says anything while
    the workers take on whatever comes.
    """
    if load.queued <= 0 and load.awaited <= AT_HAND:
        return 0.0
    behind_our_own = load.awaited / load.answer_rate if load.answer_rate else 0.0
    behind_all = load.queued / load.drain_rate if load.drain_rate else 0.0
    return max(behind_our_own, behind_all, load.silent_seconds)


@dataclass(slots=True)
class Sent:
    """One request under way: when it was sent, and how many were awaited then, itself included."""

    at: float
    place: int


@dataclass(slots=True)
class Reading:
    """What the queue said: requests that wait in it. ``at`` is monotonic, in seconds."""

    at: float
    queued: int


@dataclass(slots=True)
class LoadMeter:
    """Measures one model's load as this replica sees it."""

    clock: Callable[[], float] = time.monotonic
    asked_at: float = float("-inf")
    _awaited: int = 0
    _silent_since: float = 0.0
    _rate: tuple[float, float] | None = None
    _reading: Reading | None = None
    _since_reading: int = 0
    _answered_since_reading: int = 0
    _is_heard: bool = True
    is_away: bool = False
    _drains: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=5))
    _answers: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_ANSWERS))

    def sent(self, *, is_awaited: bool = True) -> Sent:
        """Count a request that goes to the queue."""
        now = self.asked_at = self.clock()
        self._since_reading += 1
        if is_awaited:
            if self._awaited == 0:
                self._silent_since = now
            self._awaited += 1
        return Sent(now, self._awaited)

    def ended(self, sent: Sent, *, is_answered: bool) -> None:
        """Count the end of a wait. One that ended in vain tells how slow the queue is at best."""
        now = self.clock()
        self._awaited -= 1
        if is_answered:
            self._silent_since = now
            self._answered_since_reading += 1
            self._answers.append(now)
            self._is_heard, self.is_away = True, False
        sample = sent.place / max(now - sent.at, 1e-3)
        known = self._fresh(self._rate)
        mixed = sample if known is None else known + SAMPLE_WEIGHT * (sample - known)
        self._rate = (now, mixed)

    def dropped(self) -> None:
        """Count the end of a wait that tells nothing: the request was not sent, or refused."""
        self._awaited -= 1

    def read(self, queued: int) -> None:
        """Take in what the queue just said, and how much it drained since it last did."""
        now = self.clock()
        before = self._reading
        if before is not None and before.queued and queued and now > before.at:
            gone = max(before.queued + self._since_reading - queued, self._answered_since_reading)
            if gone > 0:
                self._drains.append((now, gone / (now - before.at)))
        self._reading = Reading(now, queued)
        self._since_reading = self._answered_since_reading = 0
        self._is_heard, self.is_away = True, False

    def unread(self) -> None:
        """The queue said nothing when asked. Twice so, and no answer in between: it is away."""
        self.is_away = not self._is_heard
        self._is_heard = False

    def load(self) -> Load:
        """What is known now."""
        now = self.clock()
        reading = self._reading
        queued = 0
        if reading is not None and now - reading.at <= FRESH_SECONDS and reading.queued:
            queued = reading.queued + self._since_reading - self._answered_since_reading
        return Load(
            awaited=self._awaited,
            answer_rate=_highest(
                rate for rate in (self._fresh(self._rate), self._throughput(now)) if rate
            ),
            queued=max(queued, 0),
            drain_rate=_highest(rate for at, rate in self._drains if now - at <= FRESH_SECONDS),
            silent_seconds=now - self._silent_since if self._awaited else 0.0,
        )

    def _throughput(self, now: float) -> float | None:
        """Answers a second just now; None for too few.

        Those that a dead worker held come late and tell of its lease, not of the living.
        """
        while self._answers and now - self._answers[0] > RECENT_SECONDS:
            self._answers.popleft()
        if len(self._answers) < FEWEST_ANSWERS:
            return None
        return len(self._answers) / max(now - self._answers[0], LEAST_SPAN_SECONDS)

    def _fresh(self, measured: tuple[float, float] | None) -> float | None:
        if measured is None or self.clock() - measured[0] > FRESH_SECONDS:
            return None
        return measured[1]


@dataclass(slots=True)
class Pulse:
    """How late the event loop is: what waits in the sockets waits for that long already."""

    _late_seconds: float = 0.0

    def felt(self, late_seconds: float) -> None:
        """Take in how late a sleeper was woken; one hiccup counts for little."""
        counted = min(late_seconds, HICCUP_SECONDS)
        self._late_seconds += SAMPLE_WEIGHT * (counted - self._late_seconds)

    @property
    def is_late(self) -> bool:
        """Whether there is more work than time."""
        return self._late_seconds > LATE_SECONDS


def _highest(rates: Iterable[float]) -> float | None:
    return max(rates, default=None)
