"""Requests and replies over the real engine."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from faststream import Context

from common.errors import PermanentError, TransientError
from common.faststream_sqs import (
    NotConnectedError,
    ReplyTimeoutError,
    SQSBroker,
    SQSMessage,
    SQSQueue,
    SQSResponse,
    SQSRouter,
    UndecodableMessageError,
)
from common.sqs import QueueGone
from tests.common.faststream_sqs.bodies import Answer, Ask, Done, Refused
from tests.common.faststream_sqs.conftest import MakeBroker, Queues, eventually


async def test_a_request_is_answered_with_the_handlers_typed_result(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def answer(ask: Ask) -> Answer:
        return Done(number=ask.number + 1, text=ask.text)

    await broker.start()
    reply = await broker.request(
        Ask(number=1, text="SERVIÇO"), requests.name, timeout=10, reply_type=Answer
    )

    assert await reply.decode() == Done(number=2, text="SERVIÇO")
    await broker.stop()
    assert await queues.counts(requests.name) == (0, 0)


async def test_every_one_of_many_callers_gets_its_own_answer(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    worker, one, two = make_broker(), make_broker(), make_broker()

    @worker.subscriber(requests, max_workers=20)
    async def answer(ask: Ask) -> Answer:
        return Done(number=ask.number, text=ask.text)

    for broker in (worker, one, two):
        await broker.start()

    async def ask(broker: SQSBroker, name: str, number: int) -> None:
        body = Ask(number=number, text=name)
        reply = await broker.request(body, requests.name, timeout=20, reply_type=Answer)
        assert await reply.decode() == Done(number=number, text=name)

    await asyncio.gather(
        *(ask(broker, name, n) for n in range(25) for broker, name in ((one, "1"), (two, "2")))
    )


async def test_a_reply_queue_is_one_brokers_own_and_goes_with_it(
    make_broker: MakeBroker, queues: Queues, queue_prefix: str
) -> None:
    one, two = make_broker(replies_at_start=True), make_broker(replies_at_start=True)
    await one.start()
    await two.start()
    assert len(await queues.names(f"{queue_prefix}replies-")) == 2

    await one.stop()
    assert len(await queues.names(f"{queue_prefix}replies-")) == 1
    await two.stop()
    assert await queues.names(f"{queue_prefix}replies-") == []


async def test_a_request_without_an_answer_ends_in_a_timeout_and_frees_its_correlation_id(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def answer(ask: Ask) -> Answer:
        if ask.text == "slow":
            await asyncio.sleep(1)
        return Done(number=ask.number)

    await broker.start()
    with pytest.raises(ReplyTimeoutError, match=requests.name):
        await broker.request(
            Ask(number=1, text="slow"), requests.name, timeout=0.2, correlation_id="same"
        )
    # The late reply finds nobody; the same correlation id may be used again.
    await asyncio.sleep(1.2)
    reply = await broker.request(
        Ask(number=2), requests.name, timeout=10, correlation_id="same", reply_type=Answer
    )
    assert await reply.decode() == Done(number=2)


async def test_a_request_still_waiting_when_the_broker_stops_is_told_so(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker(replies_at_start=True)
    await broker.start()
    await queues.client.create_queue(QueueName=requests.name)
    waiting = asyncio.create_task(broker.request(Ask(number=1), requests.name, timeout=30))
    await asyncio.sleep(0.3)
    await broker.stop()
    with pytest.raises(TransientError, match="stopped"):
        await waiting


async def test_headers_and_correlation_travel_to_the_handler_and_back(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()
    seen: list[SQSMessage] = []

    @broker.subscriber(requests)
    async def answer(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> SQSResponse:
        seen.append(message)
        return SQSResponse(Done(number=ask.number), headers={"worker": "ação"})

    await broker.start()
    reply = await broker.request(
        Ask(number=1), requests.name, timeout=10, headers={"budget_ms": "900"}, correlation_id="c1"
    )

    assert seen[0].headers["budget_ms"] == "900"
    assert seen[0].correlation_id == reply.correlation_id == "c1"
    assert seen[0].receive_count == 1
    assert seen[0].queue_wait_ms >= 0
    assert reply.headers["worker"] == "ação"
    assert await reply.decode() == {"outcome": "done", "number": 1, "text": ""}


async def test_a_reply_of_another_type_is_refused(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def answer(ask: Ask) -> Ask:
        return ask

    await broker.start()
    reply = await broker.request(Ask(number=1), requests.name, timeout=10, reply_type=Answer)
    with pytest.raises(UndecodableMessageError):
        await reply.decode()


async def test_a_reply_to_a_caller_that_left_is_dropped_and_the_work_is_not_done_again(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues, queue_prefix: str
) -> None:
    broker = make_broker()
    handled: list[int] = []

    @broker.subscriber(requests)
    async def answer(ask: Ask) -> Answer:
        handled.append(ask.number)
        return Done(number=ask.number)

    await broker.start()
    gone = (await queues.client.create_queue(QueueName=f"{queue_prefix}gone"))["QueueUrl"]
    await queues.client.delete_queue(QueueUrl=gone)
    await broker.publish(Ask(number=1), requests.name, reply_to=gone)
    await eventually(lambda: handled == [1])
    await broker.stop()

    assert await queues.counts(requests.name) == (0, 0)
    assert await queues.counts(str(requests.dead_letter)) == (0, 0)


async def test_a_batch_is_received_message_by_message(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()
    numbers: set[int] = set()

    @broker.subscriber(requests)
    async def collect(ask: Ask) -> None:
        numbers.add(ask.number)

    await broker.start()
    ids = await broker.publish_batch(*(Ask(number=n) for n in range(23)), queue=requests.name)
    assert len(set(ids)) == 23
    assert await broker.publish_batch(queue=requests.name) == []
    await eventually(lambda: numbers == set(range(23)))


async def test_a_result_goes_on_to_the_publishers_around_the_handler(
    make_broker: MakeBroker, requests: SQSQueue, queue_prefix: str
) -> None:
    broker = make_broker()
    router = SQSRouter(queue_prefix)
    seen: list[tuple[Answer, str]] = []

    @router.subscriber("second")
    async def second(done: Answer, message: Annotated[SQSMessage, Context("message")]) -> None:
        seen.append((done, message.correlation_id))

    publisher = broker.publisher(f"{queue_prefix}second")

    @publisher
    @broker.subscriber(requests)
    async def first(ask: Ask) -> Answer:
        return Refused(code="no", number=ask.number)

    broker.include_router(router)
    await broker.start()
    await broker.publish(Ask(number=7), requests.name, correlation_id="chain")
    await eventually(lambda: seen == [(Refused(code="no", number=7), "chain")])
    reply = broker.publisher(requests.name)
    assert await (await reply.request(Ask(number=8), timeout=10)).decode() == {
        "outcome": "refused",
        "code": "no",
        "number": 8,
    }


async def test_publishing_to_an_unknown_queue_says_so(
    make_broker: MakeBroker, queue_prefix: str
) -> None:
    broker = make_broker()
    await broker.connect()
    with pytest.raises(QueueGone):
        await broker.publish(Ask(number=1), f"{queue_prefix}absent")


async def test_a_queue_that_is_not_to_be_declared_must_exist(
    make_broker: MakeBroker, queue_prefix: str
) -> None:
    broker = make_broker()

    @broker.subscriber(SQSQueue(f"{queue_prefix}absent", declare=False))
    async def handle(ask: Ask) -> None: ...

    with pytest.raises(QueueGone):
        await broker.start()


async def test_two_requests_under_one_correlation_id_are_refused(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()
    await broker.connect()
    await queues.client.create_queue(QueueName=requests.name)
    first = asyncio.create_task(
        broker.request(Ask(number=1), requests.name, timeout=1, correlation_id="one")
    )
    await asyncio.sleep(0.3)
    with pytest.raises(PermanentError, match="already awaited"):
        await broker.request(Ask(number=2), requests.name, timeout=1, correlation_id="one")
    with pytest.raises(ReplyTimeoutError):
        await first


async def test_ping_tells_whether_sqs_answers(
    make_broker: MakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker()
    assert not await broker.ping()
    await broker.connect()
    assert await broker.ping()
    assert broker.seconds_since_receive == 0

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    nowhere = make_broker()
    await nowhere.connect()
    assert not await nowhere.ping(timeout=0.5)


async def test_a_broker_that_is_not_connected_says_so(make_broker: MakeBroker) -> None:
    broker = make_broker()
    with pytest.raises(NotConnectedError):
        await broker.publish(Ask(number=1), "any")
