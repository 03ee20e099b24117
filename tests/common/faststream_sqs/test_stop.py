"""Stopping while messages are under way, over the real engine."""

from __future__ import annotations

import asyncio

from faststream.exceptions import StopConsume

from common.faststream_sqs import SQSQueue
from tests.common.faststream_sqs.bodies import Answer, Ask, Done
from tests.common.faststream_sqs.conftest import MakeBroker, Queues, eventually


async def test_a_stop_lets_running_handlers_finish_and_their_replies_leave(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    worker, caller = make_broker(), make_broker()
    begun: list[int] = []

    @worker.subscriber(requests, max_workers=4)
    async def answer(ask: Ask) -> Answer:
        begun.append(ask.number)
        await asyncio.sleep(1)
        return Done(number=ask.number)

    await worker.start()
    await caller.start()
    asking = [
        asyncio.create_task(
            caller.request(Ask(number=n), requests.name, timeout=20, reply_type=Answer)
        )
        for n in range(4)
    ]
    await eventually(lambda: len(begun) == 4)
    await worker.stop()

    replies = [await (await task).decode() for task in asking]
    assert replies == [Done(number=n) for n in range(4)]
    assert await queues.counts(requests.name) == (0, 0)


async def test_a_stop_gives_back_what_outlasts_its_grace(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker(graceful_timeout=0.2)
    begun: list[int] = []
    ended: list[str] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> None:
        begun.append(ask.number)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    await broker.start()
    await broker.publish(Ask(number=1), requests.name)
    await eventually(lambda: begun == [1])
    await broker.stop()
    assert ended == ["cancelled"]
    assert await queues.counts(requests.name) == (1, 0)


async def test_a_stop_leaves_what_no_slot_was_free_for_to_others(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()
    numbers: list[int] = []
    go_on = asyncio.Event()

    @broker.subscriber(requests, max_workers=1)
    async def handle(ask: Ask) -> None:
        numbers.append(ask.number)
        await go_on.wait()

    await broker.start()
    await broker.publish_batch(*(Ask(number=n) for n in range(3)), queue=requests.name)
    await eventually(lambda: len(numbers) == 1)
    stopping = asyncio.create_task(broker.stop())
    await asyncio.sleep(0.1)
    go_on.set()
    await stopping

    assert len(numbers) == 1
    assert await queues.counts(requests.name) == (2, 0)


async def test_a_handler_may_stop_its_own_subscriber(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()
    numbers: list[int] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> None:
        numbers.append(ask.number)
        raise StopConsume

    await broker.start()
    await broker.publish(Ask(number=1), requests.name)
    await eventually(lambda: numbers == [1] and not broker.subscribers[0].running)
    await broker.stop()


async def test_a_broker_can_be_started_again(make_broker: MakeBroker, requests: SQSQueue) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def answer(ask: Ask) -> Answer:
        return Done(number=ask.number)

    for number in range(2):
        await broker.start()
        reply = await broker.request(Ask(number=number), requests.name, timeout=10)
        assert (await reply.decode())["number"] == number
        await broker.stop()
