"""Receives from one queue, never more than there is room for, and hands each message on.

Rules that cost messages when broken: room is reserved before the receive; a receive is never
cancelled, because SQS may already have put a message into its answer; what was received but not
started at a stop is given back at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from common.errors import CarimboError
from common.sqs.backoff import pause_seconds
from common.sqs.envelope import SYSTEM_ATTRIBUTES, ReceivedMessage, from_raw
from common.sqs.errors import QueueGone, sqs_errors
from common.sqs.lease import LeaseKeeper
from common.sqs.limits import LONG_POLL_SECONDS
from common.sqs.metrics import RECEIVE_ERRORS, RELEASED
from common.sqs.settler import Settler
from common.sqs.slots import Slots

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient
    from types_aiobotocore_sqs.type_defs import ReceiveMessageRequestTypeDef

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Pump:
    """One long poll at a time on one queue. Several pumps may share slots, settler and lease.

    ``client`` is for receives only, with a connection for every pump on it. ``wait_seconds`` (0 to
    20) is the long poll's length and so the longest that a stop waits for an idle queue: 20 where
    calls cost money, 1 or 2 where a person waits for Ctrl-C. ``queue_gone`` is asked for another
    address when the queue does not exist; without it the pump waits for the queue to appear.
    """

    def __init__(  # noqa: PLR0913 - collaborators, by keyword
        self,
        client: SQSClient,
        queue_url: str,
        *,
        slots: Slots,
        settler: Settler,
        on_message: Callable[[ReceivedMessage], Awaitable[None]],
        lease: LeaseKeeper | None = None,
        wait_seconds: int = LONG_POLL_SECONDS,
        queue_gone: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self.queue_url = queue_url
        self._client = client
        self._slots = slots
        self._settler = settler
        self._on_message = on_message
        self._lease = lease
        self._wait_seconds = wait_seconds
        self._queue_gone = queue_gone
        self._poll: asyncio.Task[None] | None = None
        self._is_resting = True
        self._stopping = asyncio.Event()
        self._working: dict[asyncio.Task[None], ReceivedMessage] = {}
        self._last_receive = time.monotonic()

    @property
    def seconds_since_receive(self) -> float:
        """Seconds since SQS last answered a receive (or the start): for a watchdog.

        Grows while every slot is taken, too: a worker whose handlers all hang looks stalled.
        """
        return time.monotonic() - self._last_receive

    def start(self) -> None:
        """Begin to receive.

        Raises:
            ValueError: the slots are fewer than the pumps that share them.
        """
        self._slots.join()
        self._stopping.clear()
        self._is_resting = True  # until its first turn, the task has nothing to lose
        self._last_receive = time.monotonic()
        self._poll = asyncio.get_running_loop().create_task(self._run())
        self._poll.add_done_callback(_log_death)

    async def stop(self, *, grace_seconds: float) -> None:
        """Stop receiving, then give the messages under way ``grace_seconds`` to finish.

        The poll in flight ends by itself, within ``wait_seconds``; what it brings is given back at
        once, and so are messages whose work is cancelled when the grace is over.
        """
        poll = self._poll
        if poll is None:
            return
        self._stopping.set()
        if self._is_resting:
            poll.cancel()
        await asyncio.wait({poll})
        if self._poll is poll:
            self._poll = None
            self._slots.leave()
        await self._finish(grace_seconds)

    async def _run(self) -> None:
        failures = 0
        was_empty = True
        while not self._stopping.is_set():
            reserved = await self._rest(self._slots.reserve(self._slots.share(was_empty=was_empty)))
            try:
                messages = await self._receive(reserved)
            except CarimboError as error:
                self._slots.give_back(reserved)
                failures += 1
                await self._recover(error, failures)
                continue
            failures = 0
            was_empty = not messages
            self._slots.give_back(reserved - len(messages))
            if self._stopping.is_set():
                self._slots.give_back(len(messages))
                await self._release(messages)
            else:
                self._begin(messages)

    async def _receive(self, most: int) -> list[ReceivedMessage]:
        request: ReceiveMessageRequestTypeDef = {
            "QueueUrl": self.queue_url,
            "MaxNumberOfMessages": most,
            "WaitTimeSeconds": self._wait_seconds,
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": SYSTEM_ATTRIBUTES,
        }
        if self._lease is not None:
            request["VisibilityTimeout"] = self._lease.visibility_seconds
        with sqs_errors("ReceiveMessage"):
            answer = await self._client.receive_message(**request)
        self._last_receive = time.monotonic()
        return [from_raw(raw, self.queue_url) for raw in answer.get("Messages", ())]

    async def _recover(self, error: CarimboError, failures: int) -> None:
        """Pause after a failed receive; find another address first if the queue is gone."""
        RECEIVE_ERRORS.labels(error.code).inc()
        log.warning("receive_failed", code=error.code, failures=failures)
        if self._stopping.is_set():
            return
        if isinstance(error, QueueGone) and self._queue_gone is not None:
            try:
                self.queue_url = await self._queue_gone()
            except CarimboError as another:
                log.warning("queue_not_replaced", code=another.code)
            else:
                return
        pause = pause_seconds(failures, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
        await self._rest(asyncio.sleep(pause))

    async def _rest(self, wait: Awaitable[T]) -> T:
        """Wait for something that a stop may cut short, unlike a receive or a release."""
        self._is_resting = True
        outcome = await wait
        self._is_resting = False
        return outcome

    def _begin(self, messages: list[ReceivedMessage]) -> None:
        if self._lease is not None:
            for message in messages:
                self._lease.hold(message)
        for message in messages:
            task = asyncio.get_running_loop().create_task(self._work(message))
            self._working[task] = message
            task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        del self._working[task]
        self._slots.give_back(1)

    async def _work(self, message: ReceivedMessage) -> None:
        try:
            await self._on_message(message)
        except Exception:
            # Whatever escapes a handler is a bug; the message comes back when its lease runs out.
            log.exception("message_handler_failed", message_id=message.message_id)
        finally:
            if self._lease is not None:
                await self._lease.drop(message)

    async def _finish(self, grace_seconds: float) -> None:
        if not self._working:
            return
        _, unfinished = await asyncio.wait(self._working, timeout=grace_seconds)
        messages = [self._working[task] for task in unfinished]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
            await self._release(messages)

    async def _release(self, messages: list[ReceivedMessage]) -> None:
        RELEASED.inc(len(messages))
        outcomes = await asyncio.gather(
            *(self._settler.release(message, delay_seconds=0) for message in messages),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, CarimboError):
                log.warning("release_failed", code=outcome.code)
            elif isinstance(outcome, BaseException):
                raise outcome


def _log_death(poll: asyncio.Task[None]) -> None:
    """Say at once that a pump broke; from then on ``seconds_since_receive`` only grows."""
    if not poll.cancelled() and (error := poll.exception()) is not None:
        log.error("pump_died", exc_info=error)
