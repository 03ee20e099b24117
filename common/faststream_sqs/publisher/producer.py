"""Sends commands: the end of every publication, after the middlewares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from faststream.response import PublishType

from common.faststream_sqs._compat import ProducerProto
from common.faststream_sqs.codec import WireCodec, encode_body
from common.faststream_sqs.exceptions import NotConnectedError
from common.faststream_sqs.parser import SQSParser
from common.faststream_sqs.response import SQSPublishCommand
from common.sqs import OutgoingMessage, QueueGone, ReceivedMessage

if TYPE_CHECKING:
    from common.faststream_sqs.broker.connection import SQSConnection


class SQSProducer(ProducerProto[SQSPublishCommand]):
    """Encodes bodies, resolves queues, and sends through the broker's connection."""

    def __init__(self) -> None:
        self.codec = WireCodec()
        self._parser = SQSParser().parse_message
        self._decoder = self.codec.decode
        self._connection: SQSConnection | None = None

    def connect(self, connection: SQSConnection) -> None:
        """Send through ``connection`` from now on."""
        self._connection = connection

    def disconnect(self) -> None:
        """Refuse to send from now on."""
        self._connection = None

    async def publish(self, cmd: SQSPublishCommand) -> str:
        """Send one message and return the id that SQS stored it under.

        A reply whose queue is gone is dropped, with an empty id: its owner has left, nobody
        waits, and the work must not be done again for that.
        """
        connection = self._connected()
        try:
            url = await connection.queue_url(cmd.destination)
            return await connection.send(url, cmd, cmd.body)
        except QueueGone:
            if cmd.publish_type is not PublishType.REPLY:
                raise
            return ""

    async def publish_batch(self, cmd: SQSPublishCommand) -> list[str]:
        """Send every body as a message of its own, and return their ids in order.

        Raises:
            CarimboError: what became of the first message that failed, once all have an outcome.
        """
        connection = self._connected()
        url = await connection.queue_url(cmd.destination)
        outcomes = await asyncio.gather(
            *(connection.send(url, cmd, body) for body in cmd.batch_bodies),
            return_exceptions=True,
        )
        ids: list[str] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            ids.append(outcome)
        return ids

    async def request(self, cmd: SQSPublishCommand) -> ReceivedMessage:
        """Send one message and wait for its reply in the broker's own reply queue.

        Raises:
            ReplyTimeoutError: none came in time.
        """
        connection = self._connected()
        url = await connection.queue_url(cmd.destination)
        return await connection.ask(url, cmd)

    def _connected(self) -> SQSConnection:
        if self._connection is None:
            raise NotConnectedError
        return self._connection


def outgoing(cmd: SQSPublishCommand, body: object) -> OutgoingMessage:
    """Return what travels: the encoded body, and the command's headers with the protocol's own."""
    encoded, content_type = encode_body(body)
    return OutgoingMessage(
        body=encoded,
        headers={
            **cmd.headers,
            "content_type": content_type,
            "correlation_id": cmd.correlation_id or "",
            "reply_to": cmd.reply_to,
        },
    )
