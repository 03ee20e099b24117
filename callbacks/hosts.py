"""A bounded number of calls to one host, so that a slow receiver cannot take all of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common.errors import TransientError

BUSY = "callback-host-busy"
PATIENCE_SECONDS = 0.5
"""A receiver that answers frees a place in this time; waiting here is cheaper than by the queue."""


@dataclass(slots=True)
class _Lane:
    places: asyncio.Semaphore
    users: int = field(default=0)
    is_failing: bool = field(default=False)


class HostTurns:
    """Places a host. Who finds none gives the message back to the queue instead of its slot."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Hold one of the host's places. An error inside makes others not wait for the host.

        Raises:
            TransientError: all places are taken, and likely to stay so.
        """
        lane = self._lanes.setdefault(host, _Lane(asyncio.Semaphore(self._places)))
        lane.users += 1
        try:
            await self._take(lane)
            try:
                yield
            finally:
                lane.places.release()
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]

    def report(self, host: str, *, is_answering: bool) -> None:
        """Say how the host did: nobody waits for a place at one that does not answer."""
        if host in self._lanes:
            self._lanes[host].is_failing = not is_answering

    async def _take(self, lane: _Lane) -> None:
        if lane.places.locked() and lane.is_failing:
            raise _busy()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await lane.places.acquire()
        except TimeoutError:
            raise _busy() from None


def _busy() -> TransientError:
    return TransientError(BUSY, "As many callbacks as may be are under way to this host.")
