"""Many small submissions, few calls: batches form while calls are in flight, and never by waiting.

When nothing is in flight a submission leaves at once, alone or with those of the same turn of
the event loop. While a call is in flight, later submissions gather; they leave when it returns, or
earlier in a call beside it once they fill a batch. Nothing that anybody waits for is held back.

A lane may also gather while it knows that more is on its way (``gathers``), for a bounded time: a
batch of ten costs what one does. Deletes do, which nobody waits for, while their process has work
in hand; so do replies, briefly, while a whole batch of requests is in hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from common.errors import CarimboError, TransientError
from common.sqs.backoff import pause_seconds
from common.sqs.limits import BATCH_ENTRIES

T = TypeVar("T")
R = TypeVar("R")

CALLS_IN_FLIGHT = 4
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
BatchCall = Callable[[Sequence[T]], Awaitable[Sequence[R | CarimboError]]]
"""Sends items in one call and answers one outcome an item, in their order."""


class _Entry(Generic[T, R]):
    __slots__ = ("done", "failures", "item", "size")

    def __init__(self, item: T, size: int, done: asyncio.Future[R]) -> None:
        self.item = item
        self.size = size
        self.done = done
        self.failures = 0


class Coalescer(Generic[T, R]):
    """Gathers submissions to one destination into batch calls.

    Holds no more than its callers do: each of them waits for its own outcome, so the bound on
    concurrent callers is the bound on what is buffered.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each lane sets a few
        self,
        call: BatchCall[T, R],
        *,
        max_bytes: int,
        max_calls: int = CALLS_IN_FLIGHT,
        on_retry: Callable[[], object] = lambda: None,
        on_idle: Callable[[], object] = lambda: None,
        gathers: Callable[[], bool] = lambda: False,
        gathering_seconds: float = 0.0,
    ) -> None:
        self._call = call
        self._max_bytes = max_bytes
        self._max_calls = max_calls
        self._on_retry = on_retry
        self._on_idle = on_idle
        self._gathers = gathers
        self._gathering_seconds = gathering_seconds
        self._gathering: asyncio.TimerHandle | None = None
        self._is_overdue = False
        self._waiting: deque[_Entry[T, R]] = deque()
        self._waiting_bytes = 0
        self._in_flight = 0
        self._calls: set[asyncio.Task[None]] = set()  # the loop itself keeps no reference
        self._pausing = 0
        self._is_scheduled = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def submit(self, item: T, size: int) -> R:
        """Send ``item``, of ``size`` bytes, with the next batch and give its own outcome.

        A submission cancelled before its batch leaves is not sent.

        Raises:
            CarimboError: what SQS said of this entry, or of the call it was in.
        """
        entry = _Entry[T, R](item, size, asyncio.get_running_loop().create_future())
        self._enqueue(entry)
        return await entry.done

    async def drain(self) -> None:
        """Wait until everything submitted has an outcome: bounded, as calls and attempts are."""
        self._end_gathering()
        await self._idle.wait()

    def _enqueue(self, entry: _Entry[T, R]) -> None:
        self._waiting.append(entry)
        self._waiting_bytes += entry.size
        self._schedule()

    def _schedule(self) -> None:
        """Dispatch at the end of this turn of the loop, so that its submissions share a batch."""
        self._idle.clear()
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_scheduled = False
        while self._may_call():
            batch = self._take()
            if batch:
                # A context of its own: a batch belongs to no single submitter's trace.
                task = asyncio.get_running_loop().create_task(self._send(batch), context=Context())
                self._in_flight += 1
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
        self._mark_idle()

    def _may_call(self) -> bool:
        if not self._waiting:
            return False
        if len(self._waiting) >= BATCH_ENTRIES or self._waiting_bytes >= self._max_bytes:
            return self._in_flight < self._max_calls
        return not self._in_flight and not self._is_gathering()

    def _is_gathering(self) -> bool:
        """Whether more is on its way, and the first that waits has not waited long."""
        if self._is_overdue or not self._gathers():
            return False
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(
                self._gathering_seconds, self._end_gathering
            )
        return True

    def _end_gathering(self) -> None:
        """Send what was gathered, whatever is still to come."""
        self._is_overdue = True
        self._dispatch()

    def _take(self) -> list[_Entry[T, R]]:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._is_overdue = False
        batch: list[_Entry[T, R]] = []
        size = 0
        while self._waiting and len(batch) < BATCH_ENTRIES:
            entry = self._waiting[0]
            if batch and size + entry.size > self._max_bytes:
                break
            self._waiting.popleft()
            self._waiting_bytes -= entry.size
            if not entry.done.cancelled():
                batch.append(entry)
                size += entry.size
        return batch

    async def _send(self, batch: list[_Entry[T, R]]) -> None:
        outcomes: Sequence[R | BaseException]
        try:
            outcomes = await self._call([entry.item for entry in batch])
        except asyncio.CancelledError:
            for entry in batch:
                entry.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every submitter of the batch raises it
            outcomes = [error] * len(batch)
            for entry in batch:
                entry.failures = ATTEMPTS  # the client has repeated the whole call already
        finally:
            self._in_flight -= 1
        for entry, outcome in zip(batch, outcomes, strict=True):
            self._conclude(entry, outcome)
        self._dispatch()

    def _conclude(self, entry: _Entry[T, R], outcome: R | BaseException) -> None:
        if entry.done.done():
            return
        if not isinstance(outcome, BaseException):
            entry.done.set_result(outcome)
            return
        entry.failures += 1
        if isinstance(outcome, TransientError) and entry.failures < ATTEMPTS:
            self._on_retry()
            self._pausing += 1
            pause = pause_seconds(
                entry.failures, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS
            )
            asyncio.get_running_loop().call_later(pause, self._resume, entry)
        else:
            entry.done.set_exception(outcome)

    def _resume(self, entry: _Entry[T, R]) -> None:
        self._pausing -= 1
        self._enqueue(entry)

    def _mark_idle(self) -> None:
        if not (self._waiting or self._in_flight or self._pausing or self._idle.is_set()):
            self._idle.set()
            self._on_idle()
