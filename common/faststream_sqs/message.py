"""A received message as handlers and middlewares see it, and how it is settled."""

from __future__ import annotations

from typing import Any, Protocol

from faststream.message import AckStatus, StreamMessage

from common.faststream_sqs.verdict import back_off_seconds, bounded_delay
from common.sqs import ReceivedMessage


class Settlement(Protocol):
    """The three ends of a received message. Each returns once the queue service has it."""

    async def delete(self, message: ReceivedMessage) -> None:
        """Delete the message: its work is done and its reply is sent."""

    async def release(self, message: ReceivedMessage, *, delay_seconds: int) -> None:
        """Give the message back, to be received again after ``delay_seconds`` (at least 1)."""

    async def bury(self, message: ReceivedMessage, *, code: str, reason: str) -> None:
        """Copy the message to the dead-letter queue with its reason, then delete it."""


class SQSMessage(StreamMessage[ReceivedMessage]):
    """A message from a queue, or the reply to a request.

    Settling twice is harmless: the first call counts. A reply is settled by its inbox already.
    """

    def __init__(
        self, raw_message: ReceivedMessage, *, settlement: Settlement | None, **fields: Any
    ) -> None:
        super().__init__(raw_message, **fields)
        self._settlement = settlement

    @property
    def receive_count(self) -> int:
        """How often the queue has handed this message out, this time included."""
        return self.raw_message.receive_count

    @property
    def queue_wait_ms(self) -> int:
        """Milliseconds between the send and the first receive, both on the queue's own clock."""
        return self.raw_message.queue_wait_ms

    async def decode(self) -> Any:
        """Return the body as the type that the handler's annotation, or the request, names.

        Raises:
            UndecodableMessageError: it is something else.
        """
        return await super().decode()

    async def ack(self) -> None:
        """Delete the message from its queue."""
        if self.committed is None and self._settlement is not None:
            await self._settlement.delete(self.raw_message)
        await super().ack()

    async def nack(self, delay_seconds: float | None = None) -> None:
        """Release the message, after a back-off that grows with its attempts unless told."""
        if self.committed is None and self._settlement is not None:
            delay = (
                back_off_seconds(self.receive_count)
                if delay_seconds is None
                else bounded_delay(delay_seconds)
            )
            await self._settlement.release(self.raw_message, delay_seconds=delay)
        await super().nack()

    async def reject(self, code: str = "rejected", reason: str = "") -> None:
        """Bury the message in the dead-letter queue with ``code`` and ``reason``."""
        if self.committed is None and self._settlement is not None:
            await self._settlement.bury(self.raw_message, code=code, reason=reason)
        await super().reject()

    def __repr__(self) -> str:
        """Identify the message without its body or headers: this text ends up in logs."""
        committed = self.committed.value if isinstance(self.committed, AckStatus) else None
        return (
            f"SQSMessage(message_id={self.message_id!r}, correlation_id={self.correlation_id!r}, "
            f"size={len(self.body)}, receive_count={self.receive_count}, committed={committed})"
        )
