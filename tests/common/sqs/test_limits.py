from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.aws import aws_client
from common.sqs import MessageTooLarge, OutgoingMessage, Sender, entry_size, to_entry
from common.sqs.limits import MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES

HEADERS = {"correlation_id": "c", "budget_ms": "950", "own": "header"}
LIMITS = (SMALLEST_MESSAGE_LIMIT_BYTES, MESSAGE_LIMIT_BYTES)


def message_of(size: int) -> OutgoingMessage:
    """A message that SQS counts as ``size`` bytes."""
    empty = entry_size(to_entry(OutgoingMessage(body=b"x", headers=HEADERS), "")) - 1
    message = OutgoingMessage(body=b"x" * (size - empty), headers=HEADERS)
    assert entry_size(to_entry(message, "")) == size
    return message


@pytest.fixture
async def queue(aws_environment: dict[str, str], queue_prefix: str) -> Any:
    assert aws_environment
    async with aws_client("sqs", connections=4) as client:
        answer = await client.create_queue(QueueName=f"{queue_prefix}limits")
        yield client, answer["QueueUrl"]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("short_by", [0, 1])
async def test_a_message_up_to_the_limit_is_sent(queue: Any, limit: int, short_by: int) -> None:
    client, url = queue
    assert await Sender(client, limit_bytes=limit).send(url, message_of(limit - short_by))


@pytest.mark.parametrize("limit", LIMITS)
async def test_one_byte_above_the_limit_is_not_sent(queue: Any, limit: int) -> None:
    client, url = queue
    with pytest.raises(MessageTooLarge):
        await Sender(client, limit_bytes=limit).send(url, message_of(limit + 1))


async def test_messages_whose_sum_is_more_than_a_call_carries_all_arrive(queue: Any) -> None:
    client, url = queue
    sender = Sender(client)
    ids = await asyncio.gather(*(sender.send(url, message_of(300_000)) for _ in range(5)))
    assert len(set(ids)) == 5
