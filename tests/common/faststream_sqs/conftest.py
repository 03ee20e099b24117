"""What the broker's tests share: a look at the real queues, and brokers that stop by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from common.faststream_sqs import SQSBroker, SQSQueue
from common.sqs import ReceivedMessage, from_raw, sending_client

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

LONGEST_WAIT_SECONDS = 15.0


class Queues:
    """The engine's queues, seen without the broker."""

    def __init__(self, client: SQSClient) -> None:
        self.client = client

    async def url(self, name: str) -> str:
        return (await self.client.get_queue_url(QueueName=name))["QueueUrl"]

    async def names(self, prefix: str) -> list[str]:
        answer = await self.client.list_queues(QueueNamePrefix=prefix)
        return [url.rpartition("/")[2] for url in answer.get("QueueUrls", [])]

    async def take(self, name: str, *, wait_seconds: int = 5) -> ReceivedMessage:
        """Receive one message and delete it."""
        url = await self.url(name)
        answer = await self.client.receive_message(
            QueueUrl=url,
            WaitTimeSeconds=wait_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        raw = answer["Messages"][0]
        await self.client.delete_message(QueueUrl=url, ReceiptHandle=raw["ReceiptHandle"])
        return from_raw(raw, url)

    async def counts(self, name: str) -> tuple[int, int]:
        """Messages that are visible, and those that are hidden."""
        answer = await self.client.get_queue_attributes(
            QueueUrl=await self.url(name), AttributeNames=["All"]
        )
        attributes = answer["Attributes"]
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )


@pytest.fixture
async def queues(aws_environment: dict[str, str]) -> AsyncIterator[Queues]:  # noqa: ARG001
    async with sending_client(connections=4) as client:
        yield Queues(client)


MakeBroker = Callable[..., SQSBroker]


@pytest.fixture
async def make_broker(
    aws_environment: dict[str, str],  # noqa: ARG001 - sets what the clients read
    queue_prefix: str,
) -> AsyncIterator[MakeBroker]:
    """Makes brokers whose polls are short, and stops them after the test."""
    async with AsyncExitStack() as stopping:

        def make(**settings: Any) -> SQSBroker:
            broker = SQSBroker(reply_prefix=queue_prefix, wait_seconds=1, **settings)
            stopping.push_async_callback(broker.stop)
            return broker

        yield make


@pytest.fixture
def requests(queue_prefix: str) -> SQSQueue:
    """A queue with its dead-letter queue; three attempts."""
    return SQSQueue(
        f"{queue_prefix}requests",
        dead_letter=f"{queue_prefix}dead-letters",
        visibility_seconds=10,
        max_receive_count=3,
    )


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds, for a bounded time."""
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - a queue's state sets no event
            await asyncio.sleep(0.02)
