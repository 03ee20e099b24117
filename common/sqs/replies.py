"""The reply inbox: one queue for this replica alone, and who waits for which reply.

A reply queue shared by replicas loses replies, because each takes what another waits for. So every
replica makes its own, says so in every request (``reply_to``), and deletes it when it leaves.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from common.errors import CarimboError, PermanentError, TransientError
from common.sqs.clients import receiving_client
from common.sqs.envelope import ReceivedMessage
from common.sqs.errors import QueueGone, sqs_errors
from common.sqs.limits import LONG_POLL_SECONDS
from common.sqs.metrics import REPLIES, REPLY_QUEUES_REPLACED
from common.sqs.pump import Pump
from common.sqs.reply_queue import create_reply_queue, delete_reply_queue, renew_reply_queue
from common.sqs.settler import Settler
from common.sqs.slots import Slots

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

MOST_WAITERS = 10_000
LEASE_SECONDS = 900.0
_RENEWALS_A_LEASE = 3
_DELETES_UNDER_WAY = 200
_DRAIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ReplyWaiter:
    """One expected reply. Use it as a context manager: on the way out nobody waits any more."""

    def __init__(
        self, waiting: dict[str, asyncio.Future[ReceivedMessage]], correlation_id: str
    ) -> None:
        self._waiting = waiting
        self._correlation_id = correlation_id
        self._reply: asyncio.Future[ReceivedMessage] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._waiting[self._correlation_id] = self._reply
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._waiting.get(self._correlation_id) is self._reply:
            del self._waiting[self._correlation_id]
        if not self._reply.cancel() and not self._reply.cancelled():
            self._reply.exception()  # seen: asyncio need not report what nobody asked for

    async def reply(self, timeout_seconds: float) -> ReceivedMessage:
        """Wait for the reply.

        Raises:
            TimeoutError: it did not come in time; the result may be stored all the same.
            TransientError: the inbox was stopped first.
        """
        async with asyncio.timeout(timeout_seconds):
            return await asyncio.shield(self._reply)


class ReplyInbox:
    """This replica's reply queue. Long polls have a client of their own; the rest uses ``client``.

    ``owner`` names the replica in the queue's tag. ``wait_seconds`` is the long poll's length; a
    stop does not wait for it, because the inbox wakes its own poll.
    """

    def __init__(  # noqa: PLR0913 - settings, by keyword
        self,
        client: SQSClient,
        *,
        prefix: str,
        owner: str,
        wait_seconds: int = LONG_POLL_SECONDS,
        most_waiters: int = MOST_WAITERS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._owner = owner
        self._wait_seconds = wait_seconds
        self._most_waiters = most_waiters
        self._lease_seconds = lease_seconds
        self._settler = Settler(client)
        self._settler.gather_deletes_while(lambda: bool(self._waiting))
        self._waiting: dict[str, asyncio.Future[ReceivedMessage]] = {}
        self._clients = AsyncExitStack()
        self._pump: Pump | None = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """URL of the reply queue, for ``reply_to``. It changes if the queue has to be replaced."""
        if self._pump is None:
            raise RuntimeError("The reply inbox has no queue: call start() first.")
        return self._pump.queue_url

    @property
    def seconds_since_receive(self) -> float:
        """Seconds since SQS last answered the inbox's poll: for a watchdog."""
        return 0.0 if self._pump is None else self._pump.seconds_since_receive

    async def start(self) -> None:
        """Make the queue and begin to receive.

        Raises:
            SqsUnavailable: the queue could not be made.
        """
        receiver = await self._clients.enter_async_context(
            receiving_client(connections=1, wait_seconds=self._wait_seconds)
        )
        try:
            queue_url = await self._create()
        except CarimboError:
            await self._clients.aclose()
            raise
        self._pump = Pump(
            receiver,
            queue_url,
            slots=Slots(_DELETES_UNDER_WAY),
            settler=self._settler,
            on_message=self._deliver,
            wait_seconds=self._wait_seconds,
            queue_gone=self._replace,
        )
        self._pump.start()
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    def expect(self, correlation_id: str) -> ReplyWaiter:
        """Wait for the reply to a request that is about to be sent: ``with inbox.expect(...)``.

        Raises:
            PermanentError: somebody in this process waits under the same correlation id.
            TransientError: too many wait already.
        """
        if correlation_id in self._waiting:
            raise PermanentError(
                "correlation-id-in-use",
                f"A reply to {correlation_id} is already awaited; use another correlation id.",
            )
        if len(self._waiting) >= self._most_waiters:
            raise TransientError(
                "too-many-waiters",
                f"{self._most_waiters} replies are awaited already; try again later.",
            )
        return ReplyWaiter(self._waiting, correlation_id)

    async def stop(self) -> None:
        """Stop receiving and delete the queue. Whoever still waits is told so."""
        if self._pump is None:
            return
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        stopping = asyncio.ensure_future(self._pump.stop(grace_seconds=_DRAIN_SECONDS))
        await self._wake_poll()
        await stopping
        with suppress(CarimboError):  # then its lease runs out and the sweeper deletes it
            await delete_reply_queue(self._client, self._pump.queue_url)
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(
                    TransientError("reply-inbox-stopped", "The process stopped before the reply.")
                )
        self._pump = None
        await self._clients.aclose()

    async def _deliver(self, message: ReceivedMessage) -> None:
        reply = self._waiting.pop(message.headers.get("correlation_id", ""), None)
        if reply is None or reply.done():
            REPLIES.labels("unclaimed").inc()
        else:
            reply.set_result(message)
            REPLIES.labels("delivered").inc()
        with suppress(CarimboError):  # then it comes again, and is unclaimed
            await self._settler.delete(message)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / _RENEWALS_A_LEASE)
            try:
                await renew_reply_queue(
                    self._client, self.address, lease_seconds=self._lease_seconds
                )
            except QueueGone:
                log.warning("reply_queue_gone")  # the pump finds out too, and replaces it
            except CarimboError as error:
                log.warning("reply_queue_not_renewed", code=error.code)

    async def _create(self) -> str:
        return await create_reply_queue(
            self._client,
            prefix=self._prefix,
            owner=self._owner,
            lease_seconds=self._lease_seconds,
        )

    async def _replace(self) -> str:
        queue_url = await self._create()
        REPLY_QUEUES_REPLACED.inc()
        log.warning("reply_queue_replaced")
        return queue_url

    async def _wake_poll(self) -> None:
        """End the idle poll at once: nobody else reads this queue, so the poll gets the message."""
        with suppress(CarimboError), sqs_errors("SendMessage"):
            await self._client.send_message(QueueUrl=self.address, MessageBody="wake")
