"""Sends messages, in as few calls as the load allows: one coalescer a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import CarimboError
from common.sqs.batches import entry_outcomes
from common.sqs.coalescer import Coalescer
from common.sqs.envelope import (
    OutgoingMessage,
    check_size,
    entry_size,
    to_entry,
)
from common.sqs.errors import sqs_errors
from common.sqs.limits import MESSAGE_LIMIT_BYTES
from common.sqs.metrics import ENTRY_RETRIES

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient
    from types_aiobotocore_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

REPLIES_GATHER_SECONDS = 0.05
"""Less than the requests in hand take, so a gathered reply is there before the next would be."""

_OPERATION = "SendMessageBatch"


class Sender:
    """Sends to any number of queues on one client of its own role."""

    def __init__(self, client: SQSClient, *, limit_bytes: int = MESSAGE_LIMIT_BYTES) -> None:
        self._client = client
        self._limit_bytes = limit_bytes
        self._queues: dict[str, Coalescer[SendMessageBatchRequestEntryTypeDef, str]] = {}
        self._busy: list[Callable[[], bool]] = []

    def gather_while(self, is_busy: Callable[[], bool]) -> None:
        """Let messages gather, briefly, while ``is_busy`` says that a batch of others will follow.

        Only where the calls themselves are what everybody waits for: with little in hand, a
        message leaves at once.
        """
        self._busy.append(is_busy)

    async def send(self, queue_url: str, message: OutgoingMessage) -> str:
        """Send a message and give the id that SQS gave it, once SQS has stored it.

        Raises:
            MessageTooLarge: body and attributes exceed the limit.
            QueueGone: the queue does not exist (a reply queue whose owner has left, say).
            SqsRefused: SQS finds the message wrong.
            SqsUnavailable: SQS failed on every attempt; the message may have been stored.
        """
        check_size(len(message.body), self._limit_bytes)  # before a large body is encoded at all
        entry = to_entry(message, "")
        size = entry_size(entry)
        check_size(size, self._limit_bytes)
        queue = self._queues.get(queue_url)
        if queue is None:
            queue = self._queues[queue_url] = Coalescer(
                partial(self._send_batch, queue_url),
                max_bytes=self._limit_bytes,
                on_retry=ENTRY_RETRIES.labels(_OPERATION).inc,
                # Reply queues come and go: what is not in use is not kept.
                on_idle=partial(self._queues.pop, queue_url),
                gathers=lambda: any(is_busy() for is_busy in self._busy),
                gathering_seconds=REPLIES_GATHER_SECONDS,
            )
        return await queue.submit(entry, size)

    async def drain(self) -> None:
        """Wait until every message handed over has its outcome."""
        await asyncio.gather(*(queue.drain() for queue in list(self._queues.values())))

    async def _send_batch(
        self, queue_url: str, entries: Sequence[SendMessageBatchRequestEntryTypeDef]
    ) -> Sequence[str | CarimboError]:
        for number, entry in enumerate(entries):
            entry["Id"] = str(number)
        with sqs_errors(_OPERATION):
            answer = await self._client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        return entry_outcomes(_OPERATION, answer, len(entries), _message_id)


def _message_id(done: Mapping[str, Any]) -> str:
    return str(done["MessageId"])
