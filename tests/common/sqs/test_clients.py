from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from botocore.exceptions import ClientError
from prometheus_client import REGISTRY

from common.sqs import OutgoingMessage, Sender, receiving_client
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


def _calls(operation: str) -> float:
    return REGISTRY.get_sample_value("carimbo_sqs_calls_total", {"operation": operation}) or 0.0


async def test_counts_every_call_by_its_operation(sqs: SQSClient, queue_url: str) -> None:
    before = _calls("SendMessageBatch"), _calls("GetQueueUrl")
    await asyncio.gather(
        *(Sender(sqs).send(queue_url, OutgoingMessage(body=b"x")) for _ in range(2))
    )
    assert (_calls("SendMessageBatch"), _calls("GetQueueUrl")) == (before[0] + 2, before[1])


async def test_a_receive_is_never_repeated_behind_the_pumps_back(scripted: ScriptedSqs) -> None:
    async def fail(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "InternalError"}, status=500)

    scripted.answer = fail
    async with receiving_client(connections=1) as client:
        with pytest.raises(ClientError):
            await client.receive_message(QueueUrl="http://127.0.0.1/queue")
    assert len(scripted.calls) == 1


async def test_long_polls_leave_sends_their_connections(
    sqs: SQSClient, receiver: SQSClient, queue_url: str
) -> None:
    polls = [
        asyncio.ensure_future(receiver.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1))
        for _ in range(5)  # one more than the receiver has connections
    ]
    await asyncio.sleep(0.2)
    await Sender(sqs).send(queue_url, OutgoingMessage(body=b"x"))
    assert not any(poll.done() and "Messages" not in poll.result() for poll in polls)
    await asyncio.gather(*polls)
