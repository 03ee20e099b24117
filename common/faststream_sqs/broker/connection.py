"""What a connected broker holds: its client, its sender, the queues' addresses, its inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from common.faststream_sqs.exceptions import ReplyTimeoutError
from common.faststream_sqs.publisher.producer import outgoing
from common.sqs import (
    MESSAGE_LIMIT_BYTES,
    MessageTooLarge,
    QueueUrls,
    ReceivedMessage,
    ReplyInbox,
    Sender,
    Settler,
    ensure_queue,
    sending_client,
)
from common.sqs.errors import sqs_errors

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

    from common.faststream_sqs.response import SQSPublishCommand
    from common.faststream_sqs.schemas import SQSQueue

Lighten = Callable[[object], Awaitable[object | None]]
"""Gives a body that says by reference what the one it is called with says; None if it cannot."""

SENDING_CONNECTIONS = 16
"""Several coalescers of four calls each; receives never share this pool."""


class SQSConnection:
    """Open from ``open`` to ``close``; every subscriber and the producer work through it."""

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        client: SQSClient,
        clients: AsyncExitStack,
        *,
        reply_prefix: str,
        wait_seconds: int,
        limit_bytes: int = MESSAGE_LIMIT_BYTES,
        lighten: Lighten | None = None,
    ) -> None:
        self.client = client
        self.sender = Sender(client, limit_bytes=limit_bytes)
        self._lighten = lighten
        self._clients = clients
        self._urls = QueueUrls(client)
        self._reply_prefix = reply_prefix
        self._wait_seconds = wait_seconds
        self._inbox: ReplyInbox | None = None
        self._opening_inbox = asyncio.Lock()

    @classmethod
    async def open(
        cls, *, reply_prefix: str, wait_seconds: int, limit_bytes: int, lighten: Lighten | None
    ) -> SQSConnection:
        """Open the sending client; receives get clients of their own."""
        clients = AsyncExitStack()
        client = await clients.enter_async_context(sending_client(connections=SENDING_CONNECTIONS))
        return cls(
            client,
            clients,
            reply_prefix=reply_prefix,
            wait_seconds=wait_seconds,
            limit_bytes=limit_bytes,
            lighten=lighten,
        )

    def new_settler(self) -> Settler:
        """Return a settler of its own for one subscriber, whose lease it will end."""
        return Settler(self.client)

    async def queue_url(self, queue: str) -> str:
        """Return the address of a queue told by name, or by the address itself.

        Raises:
            QueueGone: there is no queue of this name.
        """
        return queue if "://" in queue else await self._urls.url(queue)

    def forget(self, queue: str) -> None:
        """Ask for the queue's address again next time."""
        self._urls.forget(queue)

    async def declare(self, queue: SQSQueue, name: str) -> tuple[str, str | None]:
        """Make or find the queue ``name``; return its address and its dead-letter queue's."""
        if queue.declare:
            url = await ensure_queue(
                self.client,
                name,
                visibility_seconds=queue.visibility_seconds,
                dead_letter=queue.dead_letter,
                max_receive_count=queue.last_resort or queue.max_receive_count,
            )
        else:
            url = await self._urls.url(name)
        if queue.dead_letter is None:
            return url, None
        return url, await self._urls.url(queue.dead_letter)

    async def inbox(self) -> ReplyInbox:
        """Return the reply inbox, made at the first need."""
        async with self._opening_inbox:
            if self._inbox is None:
                inbox = ReplyInbox(
                    self.client,
                    prefix=self._reply_prefix,
                    owner="faststream-sqs",
                    wait_seconds=self._wait_seconds,
                )
                await inbox.start()
                self._inbox = inbox
            return self._inbox

    async def send(self, url: str, cmd: SQSPublishCommand, body: object) -> str:
        """Send ``body`` with the command's headers; lightened, if it does not fit.

        Raises:
            MessageTooLarge: it does not fit and cannot be made lighter.
        """
        try:
            return await self.sender.send(url, outgoing(cmd, body))
        except MessageTooLarge:
            lighter = None if self._lighten is None else await self._lighten(body)
            if lighter is None:
                raise
        return await self.sender.send(url, outgoing(cmd, lighter))

    @property
    def seconds_since_reply_poll(self) -> float:
        """Seconds since SQS last answered the inbox's poll; 0 without an inbox."""
        return 0.0 if self._inbox is None else self._inbox.seconds_since_receive

    async def ask(self, url: str, cmd: SQSPublishCommand) -> ReceivedMessage:
        """Send ``cmd`` and wait for its reply; nobody waits any more on the way out.

        Raises:
            ReplyTimeoutError: none came in time.
            TransientError: the broker was stopped while waiting, or too many wait already.
        """
        inbox = self._inbox or await self.inbox()
        cmd.reply_to = inbox.address
        try:
            with inbox.expect(cmd.correlation_id or "") as waiter:
                async with asyncio.timeout(cmd.timeout_seconds):
                    await self.send(url, cmd, cmd.body)
                    cmd.sent()
                    return await waiter.reply(cmd.timeout_seconds)
        except TimeoutError:
            failure = ReplyTimeoutError(url.rpartition("/")[2], cmd.timeout_seconds)
        raise failure

    async def ping(self) -> None:
        """Ask SQS for anything at all.

        Raises:
            CarimboError: it did not answer, or refused.
        """
        with sqs_errors("ListQueues"):
            await self.client.list_queues(MaxResults=1)

    async def close(self) -> None:
        """Flush what is being sent, delete the reply queue, and close the clients."""
        await self.sender.drain()
        if self._inbox is not None:
            await self._inbox.stop()
            self._inbox = None
        await self._clients.aclose()
