"""The broker in memory."""
# ruff: noqa: ARG001 - a handler takes its body whether it looks at it or not

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from faststream import Context, Depends
from faststream.exceptions import SetupError

from common.errors import PermanentError
from common.faststream_sqs import (
    ReplyTimeoutError,
    SQSBroker,
    SQSMessage,
    SQSQueue,
    SQSRouter,
    TestSQSBroker,
    UndecodableMessageError,
)
from common.messages import Completed, PredictionId, PredictionReply
from tests.common.faststream_sqs.bodies import Answer, Ask, Done, Refused

QUEUE = SQSQueue("requests", dead_letter="dead-letters")


def refuse(error: Exception, message: SQSMessage) -> Refused:
    return Refused(code=type(error).__name__)


async def test_a_request_is_answered_in_memory() -> None:
    broker = SQSBroker()

    @broker.subscriber(QUEUE)
    async def handle(ask: Ask) -> Answer:
        return Done(number=ask.number + 1)

    async with TestSQSBroker(broker) as tested:
        reply = await tested.request(Ask(number=1), "requests", reply_type=Answer)
        assert await reply.decode() == Done(number=2)
        assert await tested.ping()


async def test_a_handlers_error_reaches_whoever_published() -> None:
    broker = SQSBroker()

    @broker.subscriber(QUEUE)
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("no", "Never.")

    test_broker = TestSQSBroker(broker)
    async with test_broker as tested:
        with pytest.raises(PermanentError, match="Never"):
            await tested.publish(Ask(number=1), "requests")
        with pytest.raises(PermanentError, match="Never"):
            await tested.request(Ask(number=1), "requests")
    buried = test_broker.sent("dead-letters")
    assert [message.headers["dead_letter_code"] for message in buried] == ["no", "no"]


async def test_an_error_reply_answers_a_request_in_memory() -> None:
    broker = SQSBroker(error_reply=refuse)

    @broker.subscriber(QUEUE)
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("no", "Never.")

    async with TestSQSBroker(broker) as tested:
        reply = await tested.request(Ask(number=1), "requests", reply_type=Answer)
        assert await reply.decode() == Refused(code="PermanentError")
        reply = await tested.request({"number": "1"}, "requests", reply_type=Answer)
        assert await reply.decode() == Refused(code="UndecodableMessageError")


async def test_a_request_that_no_handler_answers_ends_at_once_in_memory() -> None:
    async with TestSQSBroker(SQSBroker()) as tested:
        with pytest.raises(ReplyTimeoutError):
            await tested.request(Ask(number=1), "nobody")


async def test_bodies_are_decoded_strictly_as_the_annotation_says() -> None:
    broker = SQSBroker()
    seen: list[object] = []

    @broker.subscriber("union")
    async def union(reply: PredictionReply) -> None:
        seen.append(reply)

    @broker.subscriber("bytes")
    async def binary(body: bytes) -> None:
        seen.append(body)

    @broker.subscriber("text")
    async def text(body: str) -> None:
        seen.append(body)

    @broker.subscriber("raw")
    async def raw(body: msgspec.Raw) -> None:
        seen.append(bytes(body))

    @broker.subscriber("anything")
    async def anything(body: Any) -> None:
        seen.append(body)

    completed = Completed(
        prediction_id=PredictionId("p"),
        model="m",
        version="1",
        fingerprint="f",
        rows_read=1,
        lines=[2],
        labels=["SERVIÇO"],
        confidences=[0.5],
    )
    async with TestSQSBroker(broker) as tested:
        await tested.publish(completed, "union")
        await tested.publish(b"\x00\xff", "bytes")
        await tested.publish("olá", "text")
        await tested.publish({"a": [1]}, "raw")
        await tested.publish({"a": [1]}, "anything")
        with pytest.raises(UndecodableMessageError, match="Completed"):
            await tested.publish({"outcome": "other"}, "union")
        with pytest.raises(UndecodableMessageError):
            await tested.publish(b"\xff", "text")
    assert seen == [completed, b"\x00\xff", "olá", b'{"a":[1]}', {"a": [1]}]


async def test_an_undecodable_bodys_error_neither_quotes_nor_chains_it() -> None:
    broker = SQSBroker()

    @broker.subscriber("union")
    async def union(reply: PredictionReply) -> None: ...

    async with TestSQSBroker(broker) as tested:
        with pytest.raises(UndecodableMessageError) as caught:
            await tested.publish({"outcome": "PADARIA"}, "union")
    assert "PADARIA" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_message_is_printed_without_its_content() -> None:
    broker = SQSBroker()
    printed: list[str] = []

    @broker.subscriber("requests")
    async def handle(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> None:
        printed.append(f"{message!r} {message.raw_message!r}")

    async with TestSQSBroker(broker) as tested:
        await tested.publish(Ask(number=1, text="PADARIA"), "requests", headers={"note": "PADARIA"})
    assert "receive_count=1" in printed[0]
    assert "PADARIA" not in printed[0]


async def test_dependencies_are_injected_beside_the_body() -> None:
    router = SQSRouter("prefix-")
    seen: list[tuple[int, str]] = []

    def model() -> str:
        return "a model"

    @router.subscriber("requests")
    async def handle(ask: Ask, loaded: Annotated[str, Depends(model)]) -> None:
        seen.append((ask.number, loaded))

    broker = SQSBroker(routers=[router])
    async with TestSQSBroker(broker) as tested:
        await tested.publish(Ask(number=1), "prefix-requests")
    assert seen == [(1, "a model")]


async def test_a_handler_must_take_one_body() -> None:
    broker = SQSBroker()

    @broker.subscriber("requests")
    async def handle(ask: Ask, other: int) -> None: ...

    with pytest.raises(SetupError, match="ask, other"):
        async with TestSQSBroker(broker):
            pass


async def test_a_publishers_messages_can_be_asserted_in_memory() -> None:
    broker = SQSBroker()
    publisher = broker.publisher("answers", headers={"kind": "answer"})

    @publisher
    @broker.subscriber("requests")
    async def handle(ask: Ask) -> Answer:
        return Done(number=ask.number)

    test_broker = TestSQSBroker(broker)
    async with test_broker as tested:
        await tested.publish_batch(Ask(number=1), Ask(number=2), queue="requests")
        await publisher.publish(Done(number=3))
        assert handle.mock.call_count == 2
    sent = test_broker.sent("answers")
    assert [message.headers["kind"] for message in sent] == ["answer"] * 3


async def test_the_publisher_that_answers_knows_no_other_use() -> None:
    broker = SQSBroker()

    @broker.subscriber("requests", no_reply=True)
    async def handle(ask: Ask) -> Answer:
        return Done(number=ask.number)

    async with TestSQSBroker(broker) as tested:
        with pytest.raises(ReplyTimeoutError):
            await tested.request(Ask(number=1), "requests")
