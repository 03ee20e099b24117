"""From a received message to the one that handlers see."""

from __future__ import annotations

from typing import Any

from common.faststream_sqs.message import Settlement, SQSMessage
from common.sqs import ReceivedMessage


class SQSParser:
    """Wraps messages without looking into their bodies, so it cannot fail.

    ``settlement`` settles what it parses; a reply has none, for its inbox has deleted it.
    """

    __slots__ = ("settlement",)

    def __init__(self, settlement: Settlement | None = None) -> None:
        self.settlement = settlement

    async def parse_message(self, raw: ReceivedMessage) -> SQSMessage:
        """Return ``raw`` as a message; one without a correlation id is its own correlation."""
        headers = raw.headers
        return SQSMessage(
            raw,
            settlement=self.settlement,
            body=raw.body,
            headers=headers,
            reply_to=headers.get("reply_to", ""),
            content_type=headers.get("content_type"),
            correlation_id=headers.get("correlation_id", raw.message_id),
            message_id=raw.message_id,
        )


async def undecided(_message: Any) -> Any:
    """Stand in for a decoder until the handler's annotation has made one."""
    raise RuntimeError("The subscriber was not started: its handlers have no decoder yet.")
