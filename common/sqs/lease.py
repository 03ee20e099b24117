"""Keeps a received message hidden from other workers for as long as it is being worked on."""

from __future__ import annotations

import asyncio
import time

from common.errors import CarimboError
from common.sqs.envelope import ReceivedMessage
from common.sqs.limits import LONGEST_VISIBILITY_SECONDS
from common.sqs.metrics import LEASES_CAPPED
from common.sqs.settler import Settler

_SHORTEST_RETRY_SECONDS = 0.25


class _Lease:
    __slots__ = ("extension", "message", "timer")

    def __init__(self, message: ReceivedMessage) -> None:
        self.message = message
        self.timer: asyncio.TimerHandle | None = None
        self.extension: asyncio.Task[None] | None = None


class LeaseKeeper:
    """Extends held messages at half of their visibility, by the same amount every time.

    A constant amount, because visibility counts from now: a growing one would hide a crashed
    worker's message for as long as the worker had run. The event loop's own timer heap is the
    schedule; a task exists only while an extension is under way. Never raises: a lease that cannot
    be kept ends, and the message is handed out again. The settler ends a lease before it deletes
    or releases, so an extension can never overwrite a back-off.
    """

    def __init__(
        self,
        settler: Settler,
        *,
        visibility_seconds: int,
        longest_hold_seconds: int = LONGEST_VISIBILITY_SECONDS,
    ) -> None:
        self.visibility_seconds = visibility_seconds
        self._longest_hold_seconds = longest_hold_seconds
        self._settler = settler
        self._leases: dict[str, _Lease] = {}
        settler.before_settling(self.drop)
        settler.gather_deletes_while(lambda: self.held > 0)

    @property
    def held(self) -> int:
        """How many messages are being worked on: received, and not yet settled."""
        return len(self._leases)

    def hold(self, message: ReceivedMessage) -> None:
        """Start the lease, counted from the message's receipt. Call it before anything else."""
        lease = self._leases[message.receipt_handle] = _Lease(message)
        self._schedule(lease, message.received_at + self.visibility_seconds / 2)

    async def drop(self, message: ReceivedMessage) -> None:
        """End the lease; on return no extension of it is under way. Harmless when there is none."""
        lease = self._leases.pop(message.receipt_handle, None)
        if lease is None:
            return
        if lease.timer is not None:
            lease.timer.cancel()
        if lease.extension is not None:
            await asyncio.wait({lease.extension})

    async def close(self) -> None:
        """End every lease."""
        await asyncio.gather(*(self.drop(lease.message) for lease in list(self._leases.values())))

    def _schedule(self, lease: _Lease, at: float) -> None:
        """Extend at ``at``, monotonic seconds."""
        delay = max(0.0, at - time.monotonic())
        lease.timer = asyncio.get_running_loop().call_later(delay, self._begin, lease)

    def _begin(self, lease: _Lease) -> None:
        lease.extension = asyncio.get_running_loop().create_task(self._extend(lease))

    async def _extend(self, lease: _Lease) -> None:
        began = time.monotonic()
        seconds = self._extension_seconds(began - lease.message.received_at)
        if seconds < 1:
            LEASES_CAPPED.inc()
            self._forget(lease)
            return
        try:
            is_held = await self._settler.extend(lease.message, visibility_seconds=seconds)
        except CarimboError:
            # SQS is in trouble: what was extended before may last until it is well again.
            at = time.monotonic() + max(_SHORTEST_RETRY_SECONDS, self.visibility_seconds / 8)
        else:
            if not is_held:
                self._forget(lease)
            at = began + self.visibility_seconds / 2
        lease.extension = None
        if self._leases.get(lease.message.receipt_handle) is lease:
            self._schedule(lease, at)

    def _extension_seconds(self, held_seconds: float) -> int:
        return min(self.visibility_seconds, int(self._longest_hold_seconds - held_seconds))

    def _forget(self, lease: _Lease) -> None:
        self._leases.pop(lease.message.receipt_handle, None)
