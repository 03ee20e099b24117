from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from common.sqs import (
    LeaseKeeper,
    OutgoingMessage,
    Pump,
    ReceivedMessage,
    Sender,
    Settler,
    Slots,
    ensure_queue,
    receiving_client,
)
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
Handler = Callable[[ReceivedMessage], Awaitable[None]]


class Pumping:
    """Starts pumps on the engine with everything they need, and stops them at the end."""

    def __init__(self, sqs: SQSClient, receiver: SQSClient) -> None:
        self.settler = Settler(sqs)
        self.sender = Sender(sqs)
        self.lease = LeaseKeeper(self.settler, visibility_seconds=30)
        self.pumps: list[Pump] = []
        self._receiver = receiver

    def pump(self, queue_url: str, on_message: Handler, slots: Slots, **options: Any) -> Pump:
        pump = Pump(
            self._receiver,
            queue_url,
            slots=slots,
            settler=self.settler,
            on_message=on_message,
            **{"lease": self.lease, "wait_seconds": 2, **options},
        )
        pump.start()
        self.pumps.append(pump)
        return pump

    async def send(self, queue_url: str, count: int) -> None:
        await asyncio.gather(
            *(
                self.sender.send(queue_url, OutgoingMessage(body=f"{number}".encode()))
                for number in range(count)
            )
        )


@pytest.fixture
async def pumping(sqs: SQSClient, receiver: SQSClient) -> AsyncIterator[Pumping]:
    running = Pumping(sqs, receiver)
    yield running
    await asyncio.gather(*(pump.stop(grace_seconds=0) for pump in running.pumps))
    await running.lease.close()


async def _in_flight(sqs: SQSClient, queue_url: str) -> int:
    answer = await sqs.get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])


async def _receivable(receiver: SQSClient, queue_url: str, wait_seconds: int = 2) -> list[bytes]:
    answer = await receiver.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
    )
    return [raw["Body"].encode() for raw in answer.get("Messages", ())]


async def test_hands_every_message_on_and_they_settle(
    pumping: Pumping, sqs: SQSClient, queue_url: str, eventually: Eventually
) -> None:
    done: list[bytes] = []

    async def work(message: ReceivedMessage) -> None:
        await pumping.settler.delete(message)
        done.append(message.body)

    pumping.pump(queue_url, work, Slots(8))
    await pumping.send(queue_url, 50)
    await eventually(lambda: len(done) == 50)
    assert len(set(done)) == 50
    assert await _in_flight(sqs, queue_url) == 0


async def test_takes_no_message_that_it_has_no_slot_for(
    pumping: Pumping, sqs: SQSClient, queue_url: str, eventually: Eventually
) -> None:
    started: list[bytes] = []
    go_on = asyncio.Event()

    async def work(message: ReceivedMessage) -> None:
        started.append(message.body)
        await go_on.wait()
        await pumping.settler.delete(message)

    slots = Slots(3)
    await pumping.send(queue_url, 10)
    pumping.pump(queue_url, work, slots)
    await eventually(lambda: len(started) == 3)
    await asyncio.sleep(0.3)  # long enough for a receive that should not happen
    assert await _in_flight(sqs, queue_url) == 3
    go_on.set()
    await eventually(lambda: len(started) == 10)


async def test_the_poll_in_flight_at_a_stop_is_not_cancelled_and_its_message_is_given_back(
    pumping: Pumping, receiver: SQSClient, queue_url: str
) -> None:
    worked: list[bytes] = []

    async def work(message: ReceivedMessage) -> None:
        worked.append(message.body)

    pump = pumping.pump(queue_url, work, Slots(4))
    await asyncio.sleep(0.5)  # the poll is in flight by now
    stopping = asyncio.ensure_future(pump.stop(grace_seconds=5))
    await asyncio.sleep(0.1)
    await pumping.send(queue_url, 1)
    await stopping
    # Had the poll been dropped, the engine would have put the message into its answer and
    # hidden it for the queue's 30 s.
    assert await _receivable(receiver, queue_url) == [b"0"]
    assert worked == []


async def test_a_stop_that_is_itself_cancelled_still_lets_the_poll_end(
    pumping: Pumping, receiver: SQSClient, queue_url: str
) -> None:
    async def work(_: ReceivedMessage) -> None:
        raise AssertionError

    pump = pumping.pump(queue_url, work, Slots(4))
    await asyncio.sleep(0.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pump.stop(grace_seconds=5), timeout=0.1)
    await pumping.send(queue_url, 1)
    await pump.stop(grace_seconds=5)
    assert await _receivable(receiver, queue_url) == [b"0"]


async def test_a_stop_does_not_wait_for_a_poll_when_every_slot_is_taken(
    pumping: Pumping, queue_url: str, eventually: Eventually
) -> None:
    started: list[bytes] = []

    async def work(message: ReceivedMessage) -> None:
        started.append(message.body)
        await asyncio.sleep(0.2)
        await pumping.settler.delete(message)
        started.append(b"finished")

    await pumping.send(queue_url, 1)
    pump = pumping.pump(queue_url, work, Slots(1), wait_seconds=20)
    await eventually(lambda: started == [b"0"])
    async with asyncio.timeout(10):
        await pump.stop(grace_seconds=5)
    assert started == [b"0", b"finished"]


async def test_work_that_outlasts_the_grace_is_cancelled_and_given_back(
    pumping: Pumping, receiver: SQSClient, queue_url: str, eventually: Eventually
) -> None:
    started: list[bytes] = []

    async def work(message: ReceivedMessage) -> None:
        started.append(message.body)
        await asyncio.sleep(3600)

    await pumping.send(queue_url, 1)
    slots = Slots(1)
    pump = pumping.pump(queue_url, work, slots)
    await eventually(lambda: started == [b"0"])
    await pump.stop(grace_seconds=0.1)
    assert await _receivable(receiver, queue_url) == [b"0"]
    assert slots.free == 1


async def test_a_message_under_work_longer_than_its_visibility_is_not_handed_out_again(
    sqs: SQSClient, receiver: SQSClient, queue_url: str, eventually: Eventually
) -> None:
    async with _short_lease(sqs, receiver) as pumping:
        counts: list[int] = []
        done = asyncio.Event()

        async def work(message: ReceivedMessage) -> None:
            counts.append(message.receive_count)
            await asyncio.sleep(5)
            await pumping.settler.delete(message)
            done.set()

        await pumping.send(queue_url, 1)
        pumping.pump(queue_url, work, Slots(2))
        await eventually(done.is_set)
        assert counts == [1]


async def test_a_message_whose_handler_fails_comes_back_by_itself_and_never_at_once(
    sqs: SQSClient, receiver: SQSClient, queue_url: str, eventually: Eventually
) -> None:
    async with _short_lease(sqs, receiver) as pumping:
        counts: list[int] = []

        async def work(message: ReceivedMessage) -> None:
            counts.append(message.receive_count)
            if message.receive_count == 1:
                raise RuntimeError("a bug")
            await pumping.settler.delete(message)

        await pumping.send(queue_url, 1)
        pumping.pump(queue_url, work, Slots(2))
        await eventually(lambda: counts == [1])
        await asyncio.sleep(0.5)
        assert counts == [1]
        await eventually(lambda: counts == [1, 2])


def _short_lease(sqs: SQSClient, receiver: SQSClient) -> AbstractAsyncContextManager[Pumping]:
    @asynccontextmanager
    async def running() -> AsyncIterator[Pumping]:
        pumping = Pumping(sqs, receiver)
        pumping.lease = LeaseKeeper(pumping.settler, visibility_seconds=2)
        yield pumping
        await asyncio.gather(*(pump.stop(grace_seconds=0) for pump in pumping.pumps))
        await pumping.lease.close()

    return running()


async def test_pumps_that_share_slots_do_not_starve_one_another(
    pumping: Pumping, sqs: SQSClient, queue_url: str, queue_prefix: str, eventually: Eventually
) -> None:
    other_url = await ensure_queue(sqs, f"{queue_prefix}other", visibility_seconds=30)
    done: dict[str, int] = {queue_url: 0, other_url: 0}

    async def work(message: ReceivedMessage) -> None:
        done[message.queue_url] += 1
        await pumping.settler.delete(message)

    slots = Slots(2)
    idle = pumping.pump(queue_url, work, slots, wait_seconds=20)
    busy = pumping.pump(other_url, work, slots)
    await pumping.send(other_url, 20)
    await eventually(lambda: done[other_url] == 20)
    await pumping.send(queue_url, 3)
    await eventually(lambda: done[queue_url] == 3)
    stopping = asyncio.gather(idle.stop(grace_seconds=1), busy.stop(grace_seconds=1))
    await pumping.send(queue_url, 1)  # ends the long poll
    await stopping


async def test_waits_for_a_queue_that_does_not_exist_yet(
    pumping: Pumping, sqs: SQSClient, queue_url: str, queue_prefix: str, eventually: Eventually
) -> None:
    done: list[bytes] = []

    async def work(message: ReceivedMessage) -> None:
        await pumping.settler.delete(message)
        done.append(message.body)

    late_url = queue_url.replace("requests", "late")
    pump = pumping.pump(late_url, work, Slots(2))
    await asyncio.sleep(0.3)
    stale = pump.seconds_since_receive
    assert await ensure_queue(sqs, f"{queue_prefix}late", visibility_seconds=30) == late_url
    await pumping.send(late_url, 1)
    await eventually(lambda: done == [b"0"])
    assert stale >= 0.3
    assert pump.seconds_since_receive < stale + 10


async def test_pauses_longer_and_longer_while_receives_fail_and_stops_at_once(
    scripted: ScriptedSqs, eventually: Eventually
) -> None:
    async def fail(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "InternalError"}, status=500)

    async def work(_: ReceivedMessage) -> None:
        raise AssertionError

    scripted.answer = fail
    slots = Slots(2)
    async with receiving_client(connections=1) as client:
        pump = Pump(
            client,
            "http://127.0.0.1/000000000000/queue",
            slots=slots,
            settler=Settler(client),
            on_message=work,
        )
        pump.start()
        await eventually(lambda: len(scripted.calls) >= 3)
        await asyncio.sleep(0.5)
        assert len(scripted.calls) < 10
        async with asyncio.timeout(5):
            await pump.stop(grace_seconds=0)
    assert slots.free == 2
