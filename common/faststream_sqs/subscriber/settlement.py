"""How a queue's messages end: deleted, released, or buried with a reason. Never lost."""

from __future__ import annotations

from typing import Protocol

import structlog

from common.faststream_sqs.verdict import LONGEST_BACK_OFF_SECONDS
from common.sqs import MessageTooLarge, OutgoingMessage, ReceivedMessage

log = structlog.get_logger(__name__)


class Sends(Protocol):
    """What a settlement needs of a sender."""

    async def send(self, queue_url: str, message: OutgoingMessage) -> str:
        """Return once the message is stored."""


class Settles(Protocol):
    """What a settlement needs of a settler."""

    async def delete(self, message: ReceivedMessage) -> bool:
        """Return once the message is deleted."""

    async def release(self, message: ReceivedMessage, *, delay_seconds: int) -> bool:
        """Return once the message is given back."""


class QueueSettlement:
    """Settles the messages of one queue, whose dead-letter queue may be unknown."""

    def __init__(self, *, settler: Settles, sender: Sends, dead_letter_url: str | None) -> None:
        self._settler = settler
        self._sender = sender
        self._dead_letter_url = dead_letter_url

    async def delete(self, message: ReceivedMessage) -> None:
        """Delete the message, once its result and its reply are safe."""
        await self._settler.delete(message)

    async def release(self, message: ReceivedMessage, *, delay_seconds: int) -> None:
        """Give the message back after ``delay_seconds``."""
        await self._settler.release(message, delay_seconds=delay_seconds)

    async def bury(self, message: ReceivedMessage, *, code: str, reason: str) -> None:
        """Copy the message to the dead-letter queue, then delete it.

        Without a dead-letter queue it is released with the longest back-off: the queue's own
        redrive policy or retention ends it, and nothing is lost by a missing setting.
        """
        if self._dead_letter_url is None:
            log.warning(
                "no dead-letter queue to bury a message in; released instead",
                queue=queue_name(message.queue_url),
                message_id=message.message_id,
                code=code,
            )
            await self._settler.release(message, delay_seconds=LONGEST_BACK_OFF_SECONDS)
            return
        headers = {**message.headers, **dead_letter_headers(message, code, reason)}
        try:
            await self._send(message, headers)
        except MessageTooLarge:  # it fitted before the reason was added
            await self._send(message, message.headers)
        await self._settler.delete(message)

    async def _send(self, message: ReceivedMessage, headers: dict[str, str]) -> None:
        if self._dead_letter_url is not None:
            await self._sender.send(
                self._dead_letter_url, OutgoingMessage(body=message.body, headers=headers)
            )


def dead_letter_headers(message: ReceivedMessage, code: str, reason: str) -> dict[str, str]:
    """Return what a buried message says of its end."""
    return {
        "dead_letter_code": code,
        "dead_letter_reason": reason,
        "dead_letter_source": queue_name(message.queue_url),
        "dead_letter_receive_count": str(message.receive_count),
    }


def queue_name(url: str) -> str:
    """Return the name at the end of a queue's URL."""
    return url.rpartition("/")[2]
