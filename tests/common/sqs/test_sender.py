from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from common.sqs import (
    EntryRefused,
    MessageTooLarge,
    OutgoingMessage,
    QueueGone,
    Sender,
    SqsRefused,
    SqsUnavailable,
)
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

QUEUE = "http://127.0.0.1/000000000000/queue"


async def test_every_message_of_a_burst_arrives_once_in_few_calls(
    sqs: SQSClient, receiver: SQSClient, queue_url: str
) -> None:
    sender = Sender(sqs)
    bodies = {f"body {number}".encode() for number in range(60)}
    ids = await asyncio.gather(
        *(sender.send(queue_url, OutgoingMessage(body=body)) for body in bodies)
    )
    received: dict[str, bytes] = {}
    while len(received) < len(bodies):
        answer = await receiver.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2
        )
        received |= {raw["MessageId"]: raw["Body"].encode() for raw in answer["Messages"]}
    assert set(received) == set(ids)
    assert set(received.values()) == bodies


async def test_a_burst_travels_in_full_batches(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    sender = Sender(scripted_client)
    await asyncio.gather(*(sender.send(QUEUE, OutgoingMessage(body=b"x")) for _ in range(40)))
    assert [len(content["Entries"]) for _, content in scripted.calls] == [10, 10, 10, 10]


async def test_splits_batches_at_the_limit_of_bytes_and_refuses_a_larger_message(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    sender = Sender(scripted_client, limit_bytes=262_144)
    await asyncio.gather(
        *(sender.send(QUEUE, OutgoingMessage(body=b"x" * 100_000)) for _ in range(4))
    )
    assert [len(content["Entries"]) for _, content in scripted.calls] == [2, 2]
    with pytest.raises(MessageTooLarge, match="262144"):
        await sender.send(QUEUE, OutgoingMessage(body=b"x" * 262_145))


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
async def test_the_engine_takes_the_largest_message(sqs: SQSClient, queue_url: str) -> None:
    assert await Sender(sqs).send(queue_url, OutgoingMessage(body=b"x" * 1_048_576))


async def test_sends_again_only_the_entry_that_sqs_failed(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def fail_one_once(_: str, content: dict[str, Any]) -> web.Response:
        ids = [entry["Id"] for entry in content["Entries"]]
        if len(scripted.calls) == 1:
            failed = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
            return scripted.entries(done=["0", "2"], failed=[failed])
        return scripted.entries(done=ids)

    scripted.answer = fail_one_once
    sender = Sender(scripted_client)
    await asyncio.gather(
        *(sender.send(QUEUE, OutgoingMessage(body=f"{n}".encode())) for n in range(3))
    )
    bodies = [
        [entry["MessageBody"] for entry in content["Entries"]] for _, content in scripted.calls
    ]
    assert bodies == [["0", "1", "2"], ["1"]]


async def test_raises_for_the_entry_that_is_wrong_and_delivers_the_others(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def refuse_one(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        failed = {"Id": "0", "SenderFault": True, "Code": "InvalidMessageContents"}
        return scripted.entries(done=["1"], failed=[failed])

    scripted.answer = refuse_one
    sender = Sender(scripted_client)
    outcomes = await asyncio.gather(
        *(sender.send(QUEUE, OutgoingMessage(body=b"x")) for _ in range(2)), return_exceptions=True
    )
    assert isinstance(outcomes[0], EntryRefused)
    assert outcomes[1] == "m1"
    assert len(scripted.calls) == 1


async def test_an_entry_missing_from_the_answer_is_sent_again_then_an_error(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def forget_the_last(_: str, content: dict[str, Any]) -> web.Response:
        return scripted.entries(done=[entry["Id"] for entry in content["Entries"][:-1]])

    scripted.answer = forget_the_last
    sender = Sender(scripted_client)
    outcomes = await asyncio.gather(
        *(sender.send(QUEUE, OutgoingMessage(body=b"x")) for _ in range(2)), return_exceptions=True
    )
    assert outcomes[0] == "m0"
    assert isinstance(outcomes[1], SqsUnavailable)
    assert len(scripted.calls) == 4


async def test_a_failing_service_is_asked_three_times_then_reported_as_transient(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def fail(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "InternalError"}, status=500)

    scripted.answer = fail
    with pytest.raises(SqsUnavailable):
        await Sender(scripted_client).send(QUEUE, OutgoingMessage(body=b"x"))
    assert len(scripted.calls) == 3


async def test_a_missing_permission_is_permanent(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def deny(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "AccessDeniedException"}, status=400)

    scripted.answer = deny
    with pytest.raises(SqsRefused, match="AccessDenied"):
        await Sender(scripted_client).send(QUEUE, OutgoingMessage(body=b"x"))


async def test_says_that_a_queue_is_gone(sqs: SQSClient, queue_url: str) -> None:
    with pytest.raises(QueueGone):
        await Sender(sqs).send(f"{queue_url}-never-made", OutgoingMessage(body=b"x"))


async def test_keeps_nothing_of_queues_that_are_not_in_use(
    scripted_client: SQSClient,
) -> None:
    sender = Sender(scripted_client)
    await asyncio.gather(
        *(sender.send(f"{QUEUE}-{n}", OutgoingMessage(body=b"x")) for n in range(20))
    )
    await sender.drain()
    assert not sender._queues
