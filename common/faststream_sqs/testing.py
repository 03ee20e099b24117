"""The broker in memory: the same handlers, codec, middlewares and verdicts, and no SQS."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from common.faststream_sqs._compat import TestBroker, change_producer
from common.faststream_sqs.broker.broker import SQSBroker
from common.faststream_sqs.exceptions import ReplyTimeoutError
from common.faststream_sqs.publisher.producer import SQSProducer, outgoing
from common.faststream_sqs.subscriber.settlement import QueueSettlement, queue_name
from common.faststream_sqs.subscriber.usecase import SQSSubscriber
from common.sqs import OutgoingMessage, ReceivedMessage, from_raw, to_entry

if TYPE_CHECKING:
    from common.faststream_sqs.publisher.usecase import SQSPublisher
    from common.faststream_sqs.response import SQSPublishCommand

SCHEME = "memory://"


class TestSQSBroker(TestBroker[SQSBroker, Any], broker=SQSBroker):
    """Runs a broker's handlers as its messages are published: ``async with TestSQSBroker(b)``.

    A message goes through the real envelope on its way. A handler's failure is settled as in
    earnest (``sent`` shows the dead-letter queues) and then raised to whoever published, unless
    an error reply answers the request first. Nothing is redelivered.
    """

    def __init__(self, *brokers: SQSBroker, with_real: bool = False) -> None:
        super().__init__(*brokers, with_real=with_real, connect_only=False)
        self._memory = MemoryConnection(brokers)

    def sent(self, queue: str) -> Sequence[ReceivedMessage]:
        """Return every message that was sent to ``queue``, handled or not, in order."""
        return tuple(self._memory.sender.sent[queue])

    def create_publisher_fake_subscriber(
        self, broker: SQSBroker, publisher: SQSPublisher
    ) -> tuple[SQSSubscriber, bool]:
        """Return who gets what ``publisher`` sends: a handler, or a listener made for the test."""
        for subscriber in _subscribers(self.brokers):
            if subscriber.queue == publisher.queue:
                return subscriber, True
        return broker.subscriber(publisher.queue, persistent=False), False

    @contextmanager
    def _patch_producer(self, broker: SQSBroker) -> Generator[None, None, None]:
        producer = SQSProducer()
        producer.connect(self._memory)  # type: ignore[arg-type]
        with change_producer(broker.config.broker_config, producer):
            yield

    async def _fake_connect(self, *_: Any, **__: Any) -> MemoryConnection:  # type: ignore[override]
        return self._memory

    def _fake_start(self, broker: SQSBroker, *args: Any, **kwargs: Any) -> None:
        super()._fake_start(broker, *args, **kwargs)
        if not self.with_real:
            for subscriber in _subscribers((broker,)):
                self._memory.settle(subscriber)


class MemoryConnection:
    """Stands for the broker's connection: queues are lists, and sending is delivering."""

    def __init__(self, brokers: Sequence[SQSBroker]) -> None:
        self.sender = MemorySender(brokers)

    async def queue_url(self, queue: str) -> str:
        """Return an address that holds the queue's name."""
        return queue if "://" in queue else f"{SCHEME}{queue}"

    async def send(self, url: str, cmd: SQSPublishCommand, body: object) -> str:
        """Deliver ``body`` with the command's headers; in memory every size fits."""
        return await self.sender.send(url, outgoing(cmd, body))

    async def ask(self, url: str, cmd: SQSPublishCommand) -> ReceivedMessage:
        """Deliver ``cmd`` and return its reply.

        Raises:
            ReplyTimeoutError: its handler sent none, so none would ever come.
        """
        replies = f"replies-{uuid4().hex}"
        cmd.reply_to = f"{SCHEME}{replies}"
        try:
            await self.send(url, cmd, cmd.body)
        except Exception:
            if not self.sender.sent[replies]:
                raise
        cmd.sent()
        if not self.sender.sent[replies]:
            raise ReplyTimeoutError(queue_name(url), cmd.timeout_seconds)
        return self.sender.sent[replies][0]

    def settle(self, subscriber: SQSSubscriber) -> None:
        """Settle what ``subscriber`` gets in memory."""
        dead_letter = subscriber.dead_letter
        subscriber.settle_through(
            QueueSettlement(
                settler=MemorySettler(),
                sender=self.sender,
                dead_letter_url=None if dead_letter is None else f"{SCHEME}{dead_letter}",
            )
        )


class MemorySender:
    """Hands each message to its queue's handlers before the send returns."""

    def __init__(self, brokers: Sequence[SQSBroker]) -> None:
        self.sent: defaultdict[str, list[ReceivedMessage]] = defaultdict(list)
        self._brokers = brokers

    async def send(self, queue_url: str, message: OutgoingMessage) -> str:
        """Deliver ``message``; whatever its handler raises comes out here."""
        received = _received(message, queue_url)
        name = queue_name(queue_url)
        self.sent[name].append(received)
        for subscriber in _subscribers(self._brokers):
            if subscriber.queue == name:
                await subscriber.process_message(received)
        return received.message_id


class MemorySettler:
    """Nothing is left to settle: a message in memory is delivered once."""

    async def delete(self, message: ReceivedMessage) -> bool:  # noqa: ARG002
        """Forget the message."""
        return True

    async def release(self, message: ReceivedMessage, *, delay_seconds: int) -> bool:  # noqa: ARG002
        """Forget the message: nothing is redelivered."""
        return True


def _received(message: OutgoingMessage, queue_url: str) -> ReceivedMessage:
    """Send ``message`` through the envelope and back, as SQS would hand it out at once."""
    entry = to_entry(message, "0")
    now_ms = str(int(time.time() * 1000))
    return from_raw(
        {
            "MessageId": uuid4().hex,
            "ReceiptHandle": uuid4().hex,
            "Body": entry["MessageBody"],
            "MessageAttributes": cast("Any", entry.get("MessageAttributes", {})),
            "Attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": now_ms,
                "ApproximateFirstReceiveTimestamp": now_ms,
            },
        },
        queue_url,
    )


def _subscribers(brokers: Sequence[SQSBroker]) -> list[SQSSubscriber]:
    return [s for broker in brokers for s in broker.subscribers if isinstance(s, SQSSubscriber)]
