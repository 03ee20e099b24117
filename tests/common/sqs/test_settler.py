from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from common.sqs import (
    OutgoingMessage,
    ReceivedMessage,
    Sender,
    Settler,
    SqsRefused,
    ensure_queue,
    from_raw,
)
from common.sqs.envelope import SYSTEM_ATTRIBUTES
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


async def _receive(receiver: SQSClient, queue_url: str, wait_seconds: int) -> list[ReceivedMessage]:
    answer = await receiver.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
    )
    return [from_raw(raw, queue_url) for raw in answer.get("Messages", ())]


def _gone(operation: str) -> float:
    value = REGISTRY.get_sample_value("carimbo_sqs_receipts_gone_total", {"operation": operation})
    return value or 0.0


def _message(receipt_handle: str = "r") -> ReceivedMessage:
    return ReceivedMessage(
        body=b"",
        headers={},
        message_id="m",
        receipt_handle=receipt_handle,
        receive_count=1,
        sent_ms=0,
        first_received_ms=0,
        queue_url="http://127.0.0.1/000000000000/queue",
        received_at=time.monotonic(),
    )


async def test_deletes_many_messages_in_few_calls(
    sqs: SQSClient, receiver: SQSClient, queue_url: str
) -> None:
    sender, settler = Sender(sqs), Settler(sqs)
    await asyncio.gather(*(sender.send(queue_url, OutgoingMessage(body=b"x")) for _ in range(10)))
    messages: list[ReceivedMessage] = []
    while len(messages) < 10:
        messages += await _receive(receiver, queue_url, 2)
    assert await asyncio.gather(*map(settler.delete, messages)) == [True] * 10
    answer = await sqs.get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    assert set(answer["Attributes"].values()) == {"0"}


async def test_a_released_message_stays_away_for_its_delay_then_comes_back(
    sqs: SQSClient, receiver: SQSClient, queue_url: str
) -> None:
    await Sender(sqs).send(queue_url, OutgoingMessage(body=b"x"))
    [message] = await _receive(receiver, queue_url, 2)
    assert await Settler(sqs).release(message, delay_seconds=2)
    assert await _receive(receiver, queue_url, 0) == []
    async with asyncio.timeout(10):
        while not (again := await _receive(receiver, queue_url, 2)):
            pass
    assert again[0].message_id == message.message_id
    assert again[0].receive_count == 2


async def test_a_message_released_unworked_comes_back_at_once(
    sqs: SQSClient, receiver: SQSClient, queue_url: str
) -> None:
    await Sender(sqs).send(queue_url, OutgoingMessage(body=b"x"))
    [message] = await _receive(receiver, queue_url, 2)
    await Settler(sqs).release(message, delay_seconds=0)
    [again] = await _receive(receiver, queue_url, 2)
    assert again.message_id == message.message_id


@pytest.mark.parametrize("delay_seconds", [-1, 43_201])
async def test_refuses_a_delay_that_sqs_does_not_know(
    scripted: ScriptedSqs, scripted_client: SQSClient, delay_seconds: int
) -> None:
    with pytest.raises(ValueError, match="43200"):
        await Settler(scripted_client).release(_message(), delay_seconds=delay_seconds)
    assert not scripted.calls


async def test_a_receipt_without_meaning_is_counted_and_no_error(
    sqs: SQSClient, queue_url: str
) -> None:
    settler = Settler(sqs)
    before = _gone("delete"), _gone("release"), _gone("extend")
    message = _message("not a handle of this queue")
    for url in (queue_url, f"{queue_url}-never-made"):
        stale = _at(message, url)
        assert not await settler.delete(stale)
        assert not await settler.release(stale, delay_seconds=1)
        assert not await settler.extend(stale, visibility_seconds=5)
    assert (_gone("delete"), _gone("release"), _gone("extend")) == tuple(n + 2 for n in before)


def _at(message: ReceivedMessage, queue_url: str) -> ReceivedMessage:
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return ReceivedMessage(**{**fields, "queue_url": queue_url})


async def test_a_missing_permission_to_delete_is_not_taken_for_a_stale_receipt(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def deny(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "AccessDeniedException"}, status=400)

    scripted.answer = deny
    with pytest.raises(SqsRefused):
        await Settler(scripted_client).delete(_message())


async def test_a_delete_that_sqs_failed_is_tried_again(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def fail_once(_: str, content: dict[str, Any]) -> web.Response:
        if len(scripted.calls) > 1:
            return scripted.entries(done=[entry["Id"] for entry in content["Entries"]])
        failed = {"Id": "0", "SenderFault": False, "Code": "InternalError"}
        return scripted.entries(failed=[failed])

    scripted.answer = fail_once
    assert await Settler(scripted_client).delete(_message())
    assert len(scripted.calls) == 2


async def test_drain_waits_for_deletes_under_way(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    settler = Settler(scripted_client)
    deletes = [asyncio.ensure_future(settler.delete(_message(f"{n}"))) for n in range(30)]
    await asyncio.sleep(0)
    await settler.drain()
    assert sum(len(content["Entries"]) for _, content in scripted.calls) == 30
    assert await asyncio.gather(*deletes) == [True] * 30


async def test_the_dead_letter_queue_takes_what_was_released_too_often(
    sqs: SQSClient, receiver: SQSClient, queue_prefix: str
) -> None:
    url = await ensure_queue(
        sqs,
        f"{queue_prefix}work",
        visibility_seconds=30,
        dead_letter=f"{queue_prefix}dead",
        max_receive_count=2,
    )
    dead = (await sqs.get_queue_url(QueueName=f"{queue_prefix}dead"))["QueueUrl"]
    settler = Settler(sqs)
    await Sender(sqs).send(url, OutgoingMessage(body=b"poison", headers={"mine": "kept"}))
    for _ in range(2):
        [message] = await _receive(receiver, url, 2)
        await settler.release(message, delay_seconds=0)
    assert await _receive(receiver, url, 1) == []
    [buried] = await _receive(receiver, dead, 2)
    assert buried.body == b"poison"
