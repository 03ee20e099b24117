"""Refuses the files that could not be answered in time: asks the meters, reads the queues.

One task reads the queue of every model that was asked for lately, about once a second; no request
ever waits for such a reading.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import structlog

from common.errors import CarimboError, TransientError
from producer.admission import LoadMeter, Pulse, predicted_wait
from producer.metrics import Metrics
from producer.preferences import Preferences
from producer.queues import RequestQueues

READ_EVERY_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 3.0
ASKED_LATELY_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 600.0
ROOM_FOR_LATER = 2
"""Files of clients that do not wait hold their place for moments only: twice as many may."""
FULL_RETRY_SECONDS = 10.0
AWAY_RETRY_SECONDS = 5.0
HURRIED_SECONDS = 2.0
"""A caller that waits for longer has time for a loop that is some tenths of a second late."""
TRUSTED_SHARE = 0.5
"""The share of a caller's wait that may be spoken for: a prediction is a mean, and a wait is a
promise to nearly everybody."""

_log = structlog.get_logger("producer.waits")


class Admission:
    """Who is taken on. ``most_in_flight`` bounds the files held here, ``most_queued`` a queue.

    ``pulse`` is to be told how late the event loop is.
    """

    def __init__(
        self, queues: RequestQueues, metrics: Metrics, *, most_in_flight: int, most_queued: int
    ) -> None:
        self.pulse = Pulse()
        self._queues = queues
        self._metrics = metrics
        self._most_in_flight = most_in_flight
        self._most_queued = most_queued
        self._meters: dict[str, LoadMeter] = {}
        self._in_flight = 0

    def meter(self, model: str) -> LoadMeter:
        """The meter of a model that the registry knows."""
        return self._meters.setdefault(model, LoadMeter())

    def check(self, model: str, preferences: Preferences) -> None:
        """Refuse a file that cannot be answered as preferred. Costs no more than a look around.

        Raises:
            TransientError: ``overloaded``; ``too-many-requests`` for one that does not wait;
                ``unavailable`` while the queue is away.
        """
        meter = self._meters.get(model)
        self._check_reach(meter)
        if preferences.respond_async or preferences.wait.total_seconds() <= HURRIED_SECONDS:
            self._check_pulse()
        if preferences.respond_async:
            self._check_room(meter)
        else:
            self._check_wait(meter, preferences.wait.total_seconds())

    @contextmanager
    def admitted(self, model: str, preferences: Preferences) -> Iterator[None]:
        """Hold one of the places for files in flight, if the file can be answered as preferred.

        Raises:
            TransientError: as ``check`` does.
        """
        self.check(model, preferences)
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)

    def retry_seconds(self, model: str) -> int:
        """Whole seconds after which the result of a file that was just sent may be there."""
        return _retry(_predicted(self._meters.get(model)))

    async def follow_queues(self) -> None:
        """Read the queues for ever."""
        while True:
            await asyncio.sleep(READ_EVERY_SECONDS)
            since = time.monotonic() - ASKED_LATELY_SECONDS
            for model, meter in list(self._meters.items()):
                self._metrics.predicted_wait.labels(model).set(predicted_wait(meter.load()))
                if meter.asked_at > since:
                    await self._read(model, meter)

    async def _read(self, model: str, meter: LoadMeter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                meter.read(await self._queues.queued(model))
        except (CarimboError, TimeoutError) as error:
            meter.unread()
            code = error.code if isinstance(error, CarimboError) else "no-answer"
            _log.warning("queue not read", model=model, code=code, is_away=meter.is_away)

    def _check_reach(self, meter: LoadMeter | None) -> None:
        if meter is None or not meter.is_away:
            return
        meter.asked_at = time.monotonic()  # so that its return is noticed
        raise TransientError(
            "unavailable",
            "The queue of this model's workers does not answer; come back after Retry-After.",
            delay_seconds=AWAY_RETRY_SECONDS,
        )

    def _check_pulse(self) -> None:
        if self.pulse.is_late:
            raise TransientError(
                "overloaded",
                "This replica has more files at hand than it can take in; come back after "
                "Retry-After.",
            )

    def _check_wait(self, meter: LoadMeter | None, wait_seconds: float) -> None:
        predicted = _predicted(meter)
        if self._in_flight >= self._most_in_flight:
            raise TransientError(
                "overloaded",
                f"{self._in_flight} files are in flight, as many as this replica takes; "
                "come back after Retry-After.",
                delay_seconds=_retry(predicted - wait_seconds),
            )
        if meter is not None and predicted > TRUSTED_SHARE * wait_seconds:
            meter.asked_at = time.monotonic()
            raise TransientError(
                "overloaded",
                f"A file that is sent now would be answered in about {predicted:.3g} s, and the "
                f"wait is {wait_seconds:g} s, of which half may be spoken for; come back after "
                "Retry-After, or send Prefer: respond-async.",
                delay_seconds=_retry(predicted - TRUSTED_SHARE * wait_seconds),
            )

    def _check_room(self, meter: LoadMeter | None) -> None:
        if self._in_flight >= ROOM_FOR_LATER * self._most_in_flight:
            raise TransientError(
                "too-many-requests",
                f"{self._in_flight} files are being taken in, as many as this replica can.",
            )
        load = None if meter is None else meter.load()
        if load is None or meter is None or load.queued < self._most_queued:
            return
        meter.asked_at = time.monotonic()
        over = load.queued - self._most_queued + 1
        seconds = over / load.drain_rate if load.drain_rate else FULL_RETRY_SECONDS
        raise TransientError(
            "too-many-requests",
            f"About {load.queued} files wait for this model's workers; at most "
            f"{self._most_queued} may. Come back after Retry-After.",
            delay_seconds=_retry(seconds),
        )


def _predicted(meter: LoadMeter | None) -> float:
    return 0.0 if meter is None else predicted_wait(meter.load())


def _retry(seconds: float) -> int:
    return ceil(min(max(seconds, 1.0), LONGEST_RETRY_SECONDS))
