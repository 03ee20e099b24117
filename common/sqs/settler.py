"""Settles received messages: deletes them, gives them back, keeps them hidden. All coalesced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from common.errors import CarimboError
from common.sqs.batches import entry_outcomes
from common.sqs.coalescer import Coalescer
from common.sqs.envelope import ReceivedMessage
from common.sqs.errors import EntryRefused, QueueGone, sqs_errors
from common.sqs.limits import LONGEST_VISIBILITY_SECONDS, MESSAGE_LIMIT_BYTES
from common.sqs.metrics import ENTRY_RETRIES, RECEIPTS_GONE

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

DELETES_GATHER_SECONDS = 0.25
"""Far below any visibility, so that a gathered delete is never too late."""

_DELETE = "DeleteMessageBatch"
_CHANGE = "ChangeMessageVisibilityBatch"


class _Change(NamedTuple):
    receipt_handle: str
    visibility_seconds: int


class _Lanes(NamedTuple):
    """One queue's coalescers, one for each batch operation."""

    deletes: Coalescer[str, None]
    changes: Coalescer[_Change, None]


class Settler:
    """Settles messages of any number of queues on one client.

    A receipt handle that lost its meaning (the message was deleted, handed out again, or its
    queue is gone) is no error: there is nothing left to settle. It is counted and answered False.
    """

    def __init__(self, client: SQSClient) -> None:
        self._client = client
        self._queues: dict[str, _Lanes] = {}
        self._before: list[Callable[[ReceivedMessage], Awaitable[None]]] = []
        self._more: list[Callable[[], bool]] = []

    def before_settling(self, act: Callable[[ReceivedMessage], Awaitable[None]]) -> None:
        """Have ``act`` finish before a message is deleted or released: the lease's end."""
        self._before.append(act)

    def gather_deletes_while(self, has_more: Callable[[], bool]) -> None:
        """Let deletes gather, briefly, while ``has_more`` says that others will follow."""
        self._more.append(has_more)

    async def delete(self, message: ReceivedMessage) -> bool:
        """Delete a message whose work is durable. False when its receipt had lost its meaning.

        Raises:
            SqsUnavailable: every attempt failed; the message will be handed out again.
            SqsRefused: we may not delete from this queue.
        """
        for act in self._before:
            await act(message)
        lane = self._lanes(message.queue_url).deletes
        return await _settled("delete", lane.submit(message.receipt_handle, _size(message)))

    async def release(self, message: ReceivedMessage, *, delay_seconds: int) -> bool:
        """Give a message back, to be handed out again after ``delay_seconds`` (0 to 43,200).

        Zero is for a message that nobody started on, at a stop; after a failure it would make a
        loop without a pause.

        Raises:
            ValueError: the delay is outside SQS's range.
            SqsUnavailable: every attempt failed; the message comes back when its lease runs out.
        """
        if not 0 <= delay_seconds <= LONGEST_VISIBILITY_SECONDS:
            raise ValueError(
                f"A release delay of {delay_seconds} s is outside 0 to "
                f"{LONGEST_VISIBILITY_SECONDS} s."
            )
        for act in self._before:
            await act(message)
        return await self._change("release", message, delay_seconds)

    async def extend(self, message: ReceivedMessage, *, visibility_seconds: int) -> bool:
        """Keep a message hidden for ``visibility_seconds`` from now. For the lease keeper.

        Raises:
            SqsUnavailable: every attempt failed; the message is hidden as long as it was.
        """
        return await self._change("extend", message, visibility_seconds)

    async def drain(self) -> None:
        """Wait until everything handed over has its outcome."""
        await asyncio.gather(
            *(lane.drain() for lanes in list(self._queues.values()) for lane in lanes)
        )

    async def _change(self, operation: str, message: ReceivedMessage, seconds: int) -> bool:
        lane = self._lanes(message.queue_url).changes
        change = _Change(message.receipt_handle, seconds)
        return await _settled(operation, lane.submit(change, _size(message)))

    def _lanes(self, queue_url: str) -> _Lanes:
        lanes = self._queues.get(queue_url)
        if lanes is None:
            lanes = self._queues[queue_url] = _Lanes(
                deletes=Coalescer(
                    partial(self._delete_batch, queue_url),
                    max_bytes=MESSAGE_LIMIT_BYTES,
                    on_retry=ENTRY_RETRIES.labels(_DELETE).inc,
                    gathers=lambda: any(has_more() for has_more in self._more),
                    gathering_seconds=DELETES_GATHER_SECONDS,
                ),
                changes=Coalescer(
                    partial(self._change_batch, queue_url),
                    max_bytes=MESSAGE_LIMIT_BYTES,
                    on_retry=ENTRY_RETRIES.labels(_CHANGE).inc,
                ),
            )
        return lanes

    async def _delete_batch(
        self, queue_url: str, handles: Sequence[str]
    ) -> Sequence[CarimboError | None]:
        with sqs_errors(_DELETE):
            answer = await self._client.delete_message_batch(
                QueueUrl=queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": handle}
                    for number, handle in enumerate(handles)
                ],
            )
        return entry_outcomes(_DELETE, answer, len(handles), lambda _: None)

    async def _change_batch(
        self, queue_url: str, changes: Sequence[_Change]
    ) -> Sequence[CarimboError | None]:
        with sqs_errors(_CHANGE):
            answer = await self._client.change_message_visibility_batch(
                QueueUrl=queue_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": change.receipt_handle,
                        "VisibilityTimeout": change.visibility_seconds,
                    }
                    for number, change in enumerate(changes)
                ],
            )
        return entry_outcomes(_CHANGE, answer, len(changes), lambda _: None)


async def _settled(operation: str, submission: Awaitable[None]) -> bool:
    try:
        await submission
    except (EntryRefused, QueueGone):
        # The delay is checked above, so all that SQS can find wrong is the receipt handle.
        RECEIPTS_GONE.labels(operation).inc()
        return False
    return True


def _size(message: ReceivedMessage) -> int:
    return len(message.receipt_handle)
