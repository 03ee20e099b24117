"""How many messages a process takes on at once, shared by all of its pumps."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from common.sqs.limits import BATCH_ENTRIES


class _Turn(NamedTuple):
    """Somebody who waits for room, and how much of it makes a call worth its while."""

    granted: asyncio.Future[None]
    least: int


class Slots:
    """Capacity in messages. Reserved before a receive, given back when a message is done.

    Waiters are served in turn, and a pump asks for no more than ``share``, so that neither a busy
    queue nor the long poll of an empty one can starve another.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"Slots({total}): a process needs at least one slot.")
        self.total = total
        self._free = total
        self._pumps = 0
        self._turns: deque[_Turn] = deque()

    @property
    def free(self) -> int:
        """Slots that nobody holds at this moment."""
        return self._free

    def join(self) -> None:
        """Count one more pump among those that share.

        Raises:
            ValueError: there are more pumps than slots, so some could wait for ever.
        """
        if self._pumps == self.total:
            raise ValueError(
                f"{self.total} slots cannot be shared by {self._pumps + 1} pumps: "
                "give the process at least one slot a queue."
            )
        self._pumps += 1

    def leave(self) -> None:
        """Count one pump less."""
        self._pumps -= 1

    def share(self, *, was_empty: bool) -> int:
        """Say how many slots a pump may ask for, knowing whether its last receive was empty."""
        if self._pumps <= 1:
            return min(BATCH_ENTRIES, self.total)
        return 1 if was_empty else min(BATCH_ENTRIES, self.total // self._pumps)

    def worthwhile(self, most: int) -> int:
        """Say how much room makes a receive worth its call, of the ``most`` it may ask for.

        A quarter of the total: while every slot is taken, room appears one message at a time, and
        a receive for each would cost as many calls as there are messages. Three quarters of the
        capacity are still in hand then, so nobody waits for the receive.
        """
        return max(1, min(most, self.total // 4))

    async def reserve(self, most: int, *, least: int = 1) -> int:
        """Take up to ``most`` slots, as soon as ``least`` are free and it is our turn."""
        if self._free < least or self._turns:
            await self._own_turn(least)
        taken = min(most, self._free)
        self._free -= taken
        self._call_next()
        return taken

    def give_back(self, count: int) -> None:
        """Return slots that were reserved."""
        self._free += count
        self._call_next()

    async def _own_turn(self, least: int) -> None:
        turn = _Turn(asyncio.get_running_loop().create_future(), least)
        self._turns.append(turn)
        try:
            await turn.granted
        except asyncio.CancelledError:
            self._turns.remove(turn)
            self._call_next()
            raise
        self._turns.remove(turn)

    def _call_next(self) -> None:
        if self._turns and self._free >= self._turns[0].least:
            granted = self._turns[0].granted
            if not granted.done():
                granted.set_result(None)
