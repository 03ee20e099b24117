"""One queue's consumer: its pump, its lease, and what each message goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from faststream.exceptions import FeatureNotSupportedException, StopConsume

from common.faststream_sqs._compat import (
    BrokerMiddleware,
    CallsCollection,
    SubscriberSpecification,
    SubscriberUsecase,
)
from common.faststream_sqs.codec import codec_of, handler_body_type
from common.faststream_sqs.parser import SQSParser, undecided
from common.faststream_sqs.publisher.fake import SQSFakePublisher
from common.faststream_sqs.subscriber.failures import FailureMiddleware
from common.faststream_sqs.subscriber.settlement import QueueSettlement
from common.sqs import LeaseKeeper, Pump, ReceivedMessage, receiving_client
from common.sqs.limits import BATCH_ENTRIES

if TYPE_CHECKING:
    from faststream.message import StreamMessage
    from faststream.response import Response

    from common.faststream_sqs.broker.connection import SQSConnection
    from common.faststream_sqs.message import Settlement, SQSMessage
    from common.faststream_sqs.subscriber.config import ErrorReply, SQSSubscriberConfig


class SQSSubscriber(SubscriberUsecase[ReceivedMessage]):
    """Receives from one queue while it runs, never more than its slots allow.

    The order of a message's life is fixed: handler, reply stored by SQS, delete. Whatever fails
    on the way is settled by ``FailureMiddleware``.
    """

    def __init__(
        self,
        config: SQSSubscriberConfig,
        specification: SubscriberSpecification[Any, Any],
        calls: CallsCollection[ReceivedMessage],
    ) -> None:
        self._wrap = SQSParser()
        config.parser = self._wrap.parse_message
        config.decoder = undecided
        super().__init__(config, specification, calls)
        self._config = config
        self._pump: Pump | None = None
        self._resources = AsyncExitStack()
        self._own_stop: asyncio.Task[None] | None = None

    @property
    def queue(self) -> str:
        """The queue's full name, with the prefixes of the routers around it."""
        return f"{self._outer_config.prefix}{self._config.queue.name}"

    @property
    def dead_letter(self) -> str | None:
        """The name of the queue where failed messages are buried."""
        return self._config.queue.dead_letter

    @property
    def max_receive_count(self) -> int:
        """How often a message is tried before it is buried."""
        return self._config.queue.max_receive_count

    @property
    def error_reply(self) -> ErrorReply | None:
        """What answers a caller whose request failed for good."""
        broker_wide: ErrorReply | None = self._outer_config.error_reply  # type: ignore[attr-defined]
        return self._config.error_reply or broker_wide

    @property
    def seconds_since_receive(self) -> float:
        """Seconds since SQS last answered this subscriber's poll; 0 while it does not run."""
        return 0.0 if self._pump is None else self._pump.seconds_since_receive

    def settle_through(self, settlement: Settlement) -> None:
        """Settle this subscriber's messages through ``settlement`` from now on."""
        self._wrap.settlement = settlement

    async def parse(self, raw: Any) -> SQSMessage:
        """Return ``raw`` as the message that handlers see."""
        return await self._wrap.parse_message(raw)

    async def start(self) -> None:
        """Make or find the queue, then begin to receive.

        Raises:
            QueueGone: the queue is absent and not to be declared.
            SqsUnavailable: SQS did not answer.
        """
        await super().start()
        if self.calls:
            await self._open(self._outer_config.connection)  # type: ignore[attr-defined]
        self._post_start()

    async def stop(self) -> None:
        """Stop receiving, let running handlers finish, give back the rest, flush what is settled.

        The poll in flight ends by itself; handlers get the broker's ``graceful_timeout``, and what
        they did not finish is received again by somebody else.
        """
        pump, self._pump = self._pump, None
        if pump is not None:
            await pump.stop(grace_seconds=self._outer_config.graceful_timeout or 0.0)
        await super().stop()
        await self._resources.aclose()

    async def reply(self, message: SQSMessage, response: Response) -> None:
        """Send ``response`` to whoever asked, through the broker's middlewares."""
        if self._no_reply:
            return
        context = self._outer_config.context
        for publisher in self._make_response_publisher(message):
            await publisher._publish(  # noqa: SLF001 - how FastStream itself sends a reply
                response.as_publish_command(),
                _extra_middlewares=(
                    middleware(None, context=context).publish_scope
                    for middleware in reversed(self._outer_config.broker_middlewares)
                ),
            )

    async def get_one(self, *, timeout: float = 5) -> SQSMessage | None:  # noqa: ARG002, ASYNC109
        """Refuse: a queue is read by its pump, which holds leases and counts slots."""
        raise FeatureNotSupportedException("An SQS subscriber is not polled; give it a handler.")

    def __aiter__(self) -> AsyncIterator[StreamMessage[ReceivedMessage]]:
        raise FeatureNotSupportedException("An SQS subscriber is not iterated; give it a handler.")

    def get_log_context(self, message: StreamMessage[ReceivedMessage] | None) -> dict[str, str]:
        """Return what identifies a message in a log line."""
        return {"queue": self.queue, "message_id": getattr(message, "message_id", "")}

    @property
    def _broker_middlewares(self) -> Sequence[BrokerMiddleware[Any, Any]]:
        return (partial(FailureMiddleware, subscriber=self), *super()._broker_middlewares)

    def _make_response_publisher(
        self, message: StreamMessage[ReceivedMessage]
    ) -> Sequence[SQSFakePublisher]:
        return (
            SQSFakePublisher(
                producer=self._outer_config.producer, request=cast("SQSMessage", message)
            ),
        )

    def _build_fastdepends_model(self) -> None:
        """Give each handler the strict decoder of its own annotation."""
        super()._build_fastdepends_model()
        for call in self.calls:
            call.decoder = codec_of(handler_body_type(call)).decode

    async def _open(self, connection: SQSConnection) -> None:
        queue = self._config.queue
        url, dead_letter_url = await connection.declare(queue, self.queue)
        settler = connection.new_settler()
        lease = LeaseKeeper(settler, visibility_seconds=queue.visibility_seconds)
        # A whole batch in hand: the replies to come are worth a call of their own only together.
        connection.sender.gather_while(lambda: lease.held >= BATCH_ENTRIES)
        self.settle_through(
            QueueSettlement(
                settler=settler, sender=connection.sender, dead_letter_url=dead_letter_url
            )
        )
        wait_seconds: int = self._outer_config.wait_seconds  # type: ignore[attr-defined]
        client = await self._resources.enter_async_context(
            receiving_client(connections=1, wait_seconds=wait_seconds)
        )
        self._resources.push_async_callback(lease.close)
        self._resources.push_async_callback(settler.drain)
        self._resources.push_async_callback(connection.sender.drain)
        self._pump = Pump(
            client,
            url,
            slots=self._config.slots,
            settler=settler,
            on_message=self._on_message,
            lease=lease,
            wait_seconds=wait_seconds,
        )
        self._pump.start()

    async def _on_message(self, raw: ReceivedMessage) -> None:
        try:
            await self.process_message(raw)
        except StopConsume:
            self._stop_from_within()
        except SystemExit:
            self._stop_from_within()
            if app := self._outer_config.context.get("app"):
                app.exit()
        except Exception:  # noqa: BLE001, S110 - settled and logged by FailureMiddleware
            pass

    def _stop_from_within(self) -> None:
        """Stop in a task of its own: the stop waits for the handler that asked for it."""
        if self._own_stop is None:
            self._own_stop = asyncio.get_running_loop().create_task(self.stop())
