"""The broker: FastStream's face on the SQS mechanics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from faststream import AckPolicy, ContextRepo
from faststream.response import PublishType
from faststream.specification.schema import BrokerSpec

from common.errors import CarimboError
from common.faststream_sqs._compat import (
    EMPTY,
    BrokerMiddleware,
    BrokerUsecase,
    FastDependsConfig,
    LoggerState,
)
from common.faststream_sqs.broker.config import SQSBrokerConfig
from common.faststream_sqs.broker.connection import Lighten, SQSConnection
from common.faststream_sqs.broker.registrator import SQSRegistrator
from common.faststream_sqs.codec import codec_of
from common.faststream_sqs.publisher.producer import SQSProducer
from common.faststream_sqs.response import DEFAULT_REQUEST_TIMEOUT_SECONDS, SQSPublishCommand
from common.faststream_sqs.subscriber.usecase import SQSSubscriber
from common.sqs import LONG_POLL_SECONDS, MESSAGE_LIMIT_BYTES, ReceivedMessage

if TYPE_CHECKING:
    from fast_depends.dependencies import Dependant

    from common.faststream_sqs.message import SQSMessage
    from common.faststream_sqs.subscriber.config import ErrorReply

PING_TIMEOUT_SECONDS = 5.0


class SQSBroker(SQSRegistrator, BrokerUsecase[ReceivedMessage, SQSConnection, SQSBrokerConfig]):
    """Sends to, asks through, and consumes from Amazon SQS.

    Region, credentials and endpoint come from the standard AWS variables. Queues are named in
    full; ``reply_prefix`` begins the name of this broker's own reply queue, which is made at the
    first request, or with ``start`` when ``replies_at_start``. ``wait_seconds`` (0 to 20) is the
    long polls' length and so the longest that a stop waits for an idle queue; ``graceful_timeout``
    (seconds) is what a stop gives to running handlers. A message larger than
    ``message_limit_bytes``, as SQS counts it, is not sent: ``lighten`` is called with its body, and
    may give another that says the same by reference, or None.

    It logs nothing a message: only failures, without a word of what a message says.
    """

    def __init__(  # noqa: PLR0913 - one argument a setting
        self,
        *,
        reply_prefix: str = "",
        replies_at_start: bool = False,
        wait_seconds: int = LONG_POLL_SECONDS,
        graceful_timeout: float = 15.0,
        message_limit_bytes: int = MESSAGE_LIMIT_BYTES,
        lighten: Lighten | None = None,
        ack_policy: AckPolicy = EMPTY,
        error_reply: ErrorReply | None = None,
        middlewares: Sequence[BrokerMiddleware[Any, Any]] = (),
        dependencies: Sequence[Dependant] = (),
        routers: Sequence[SQSRegistrator] = (),
        apply_types: bool = True,
    ) -> None:
        self._replies_at_start = replies_at_start
        self._reply_prefix = reply_prefix
        self._message_limit_bytes = message_limit_bytes
        self._lighten = lighten
        config = SQSBrokerConfig(
            producer=SQSProducer(),
            wait_seconds=wait_seconds,
            error_reply=error_reply,
            broker_middlewares=middlewares,
            broker_dependencies=dependencies,
            graceful_timeout=graceful_timeout,
            ack_policy=ack_policy,
            logger=LoggerState(),
            fd_config=FastDependsConfig(
                use_fastdepends=apply_types, serializer=None, context=ContextRepo()
            ),
            extra_context={"broker": self},
        )
        super().__init__(
            config=config,
            specification=BrokerSpec(
                url=["https://sqs.amazonaws.com"],
                protocol="sqs",
                protocol_version="2012-11-05",
                description="Amazon Simple Queue Service",
                tags=[],
                security=None,
            ),
            routers=routers,
        )

    async def start(self) -> None:
        """Connect, make the reply queue if asked to, and start every subscriber.

        Raises:
            QueueGone: a queue is absent and not to be declared.
            SqsUnavailable: SQS did not answer.
        """
        connection = await self.connect()
        if self._replies_at_start:
            await connection.inbox()
        await super().start()

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Stop receiving, finish what runs, flush, delete the reply queue, close the clients."""
        try:
            await super().stop(exc_type, exc_val, exc_tb)
        finally:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()
            self._link(None)

    async def ping(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Return whether SQS answers within ``timeout`` seconds (5 unless told)."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(timeout or PING_TIMEOUT_SECONDS):
                await self._connection.ping()
        except (CarimboError, TimeoutError):
            return False
        return True

    @property
    def seconds_since_receive(self) -> float:
        """Seconds since SQS last answered the slowest of this broker's polls: for a watchdog."""
        polls = [s.seconds_since_receive for s in self.subscribers if isinstance(s, SQSSubscriber)]
        if self._connection is not None:
            polls.append(self._connection.seconds_since_reply_poll)
        return max(polls, default=0.0)

    async def publish(
        self,
        message: Any = None,
        queue: str = "",
        /,
        *,
        headers: dict[str, str] | None = None,
        correlation_id: str | None = None,
        reply_to: str = "",
    ) -> str:
        """Send ``message`` to a queue, by name or URL; return the id that SQS stored it under.

        Raises:
            MessageTooLarge: body and headers exceed what SQS carries.
            QueueGone: there is no such queue.
            SqsUnavailable: every attempt failed; the message may have been stored.
        """
        cmd = SQSPublishCommand(
            message,
            _publish_type=PublishType.PUBLISH,
            destination=queue,
            headers=headers,
            correlation_id=correlation_id or self.config.id_generator(),
            reply_to=reply_to,
        )
        message_id: str = await self._basic_publish(cmd, producer=self._producer)
        return message_id

    async def publish_batch(
        self,
        *messages: Any,
        queue: str,
        headers: dict[str, str] | None = None,
        correlation_id: str | None = None,
        reply_to: str = "",
    ) -> list[str]:
        """Send every message to one queue, in as few calls as SQS allows; return their ids.

        Raises:
            CarimboError: what became of the first that failed, once all have an outcome.
        """
        if not messages:
            return []
        cmd = SQSPublishCommand(
            *messages,
            _publish_type=PublishType.PUBLISH,
            destination=queue,
            headers=headers,
            correlation_id=correlation_id or self.config.id_generator(),
            reply_to=reply_to,
        )
        ids: list[str] = await self._basic_publish_batch(cmd, producer=self._producer)
        return ids

    async def request(  # type: ignore[override]  # noqa: PLR0913
        self,
        message: Any,
        queue: str,
        /,
        *,
        timeout: float = DEFAULT_REQUEST_TIMEOUT_SECONDS,  # noqa: ASYNC109 - FastStream's name
        headers: dict[str, str] | None = None,
        correlation_id: str | None = None,
        reply_type: Any = None,
        sent: Callable[[], None] | None = None,
    ) -> SQSMessage:
        """Send ``message`` and return its reply; ``await reply.decode()`` gives the body.

        With ``reply_type`` the body is decoded strictly as that type, else as plain JSON values.
        ``sent`` is called once SQS has the message: from then on the work will be done.

        Raises:
            ReplyTimeoutError: no reply came within ``timeout`` seconds, the send included.
            PermanentError: the correlation id is in use by another request of this broker.
        """
        cmd = SQSPublishCommand(
            message,
            _publish_type=PublishType.REQUEST,
            destination=queue,
            headers=headers,
            correlation_id=correlation_id or self.config.id_generator(),
            timeout_seconds=timeout,
            sent=sent,
        )
        reply: SQSMessage = await self._basic_request(cmd, producer=self._producer)
        if reply_type is not None:
            reply.set_decoder(codec_of(reply_type).decode)
        return reply

    async def _connect(self) -> SQSConnection:
        connection = await SQSConnection.open(
            reply_prefix=self._reply_prefix,
            wait_seconds=self.config.wait_seconds,
            limit_bytes=self._message_limit_bytes,
            lighten=self._lighten,
        )
        self._link(connection)
        return connection

    def _link(self, connection: SQSConnection | None) -> None:
        config = self.config.broker_config
        config.link = connection
        if not isinstance(config.producer, SQSProducer):
            return
        if connection is None:
            config.producer.disconnect()
        else:
            config.producer.connect(connection)
