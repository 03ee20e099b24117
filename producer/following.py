"""Waits for the result of a prediction that was sent before: long polls, and streams of events.

The object store alone says what a result is, so that nobody is ever told two things. A reply that
this replica awaits only wakes the wait early; without one the store is asked again and again, with
pauses that grow. Both the waits and their number are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from common.errors import TransientError
from common.messages import PredictionId
from producer.dispatch import Dispatch
from producer.records import Pending, Records, State

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
PAUSE_GROWTH = 1.6


class Followers:
    """At most ``most`` of them. ``is_leaving`` ends their waits early: the process has to stop."""

    def __init__(
        self, records: Records, dispatch: Dispatch, *, most: int, is_leaving: Callable[[], bool]
    ) -> None:
        self._records = records
        self._dispatch = dispatch
        self._most = most
        self._is_leaving = is_leaving
        self._following = 0

    async def state(self, prediction_id: PredictionId) -> State:
        """What may be said of a prediction now.

        Raises:
            TransientError: the object store did not answer.
        """
        is_here = self._dispatch.awaited(prediction_id) is not None
        state = await self._records.state(prediction_id)
        return Pending(prediction_id) if state is None and is_here else state

    async def settled(self, prediction_id: PredictionId, seconds: float) -> State:
        """The state once it is final, or what it is after ``seconds``, or at once in a full house.

        Raises:
            TransientError: the object store did not answer.
        """
        state = await self.state(prediction_id)
        if not isinstance(state, Pending) or seconds <= 0 or self._following >= self._most:
            return state
        with self._place():
            return await self._wait(state, seconds)

    async def known(self, prediction_id: PredictionId, seconds: float) -> State:
        """The state once there is one, or None when there is none after ``seconds``.

        Raises:
            TransientError: the object store did not answer.
        """
        state = await self.state(prediction_id)
        if state is not None:
            return state
        return await self._until(lambda: self.state(prediction_id), prediction_id, seconds)

    async def watch(
        self, prediction_id: PredictionId, seconds: float, *, beat_seconds: float
    ) -> AsyncIterator[State]:
        """The state now, then again every ``beat_seconds``, until it is final.

        It may end before that, after ``seconds``.

        Raises:
            TransientError: too many watch already, or the object store did not answer.
        """
        if self._following >= self._most:
            raise TransientError("overloaded", "As many wait for results as this replica takes.")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._place():
            state = await self.state(prediction_id)
            yield state
            while isinstance(state, Pending) and not self._is_leaving():
                left = deadline - loop.time()
                if left <= 0:
                    return
                state = await self._wait(state, min(beat_seconds, left))
                yield state

    async def _wait(self, pending: Pending, seconds: float) -> State:
        identity = pending.prediction_id
        found = await self._until(lambda: self._records.result(identity), identity, seconds)
        return pending if found is None else found

    async def _until(
        self, look: Callable[[], Awaitable[State]], prediction_id: PredictionId, seconds: float
    ) -> State:
        """What ``look`` finds, at the end of ``seconds`` at the latest; None if nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pause = FIRST_PAUSE_SECONDS
        found: State = None
        while found is None and (left := deadline - loop.time()) > 0 and not self._is_leaving():
            reply = self._dispatch.awaited(prediction_id)
            if reply is None:
                await asyncio.sleep(min(pause, left))
                pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
            elif (await asyncio.wait({reply}, timeout=min(LONGEST_PAUSE_SECONDS, left)))[0]:
                pause = FIRST_PAUSE_SECONDS  # the result is being stored at this very moment
            found = await look()
        return found

    @contextmanager
    def _place(self) -> Iterator[None]:
        self._following += 1
        try:
            yield
        finally:
            self._following -= 1
