"""What becomes of a message whose handling failed, over the real engine."""
# ruff: noqa: ARG001 - a handler takes its body whether it looks at it or not

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from faststream import Context
from faststream.exceptions import NackMessage, RejectMessage
from structlog.testing import capture_logs

from common.errors import CarimboError, PermanentError, TransientError
from common.faststream_sqs import AckPolicy, ReplyTimeoutError, SQSMessage, SQSQueue
from tests.common.faststream_sqs.bodies import Answer, Ask, Done, Refused
from tests.common.faststream_sqs.conftest import MakeBroker, Queues, eventually

SECRET = "PADARIA CENTRAL 12,34"


def refuse(error: Exception, message: SQSMessage) -> Refused:
    code = error.code if isinstance(error, CarimboError) else "internal"
    return Refused(code=code, number=message.receive_count)


async def test_a_permanent_error_answers_the_caller_and_buries_the_request_with_its_reason(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker(error_reply=refuse)

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("unknown-version", "There is no version 9.")

    await broker.start()
    reply = await broker.request(Ask(number=1), requests.name, timeout=10, reply_type=Answer)
    assert await reply.decode() == Refused(code="unknown-version", number=1)

    buried = await queues.take(str(requests.dead_letter))
    assert buried.body == b'{"number":1,"text":""}'
    assert buried.headers["correlation_id"] == reply.correlation_id
    assert buried.headers["dead_letter_code"] == "unknown-version"
    assert buried.headers["dead_letter_reason"] == "There is no version 9."
    assert buried.headers["dead_letter_source"] == requests.name
    await broker.stop()
    assert await queues.counts(requests.name) == (0, 0)


async def test_an_undecodable_body_is_buried_at_once_and_quoted_nowhere(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker(error_reply=refuse)
    handled: list[Ask] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> Answer:
        handled.append(ask)
        return Done(number=0)

    await broker.start()
    with capture_logs() as lines:
        reply = await broker.request({"number": SECRET}, requests.name, timeout=10)
        buried = await queues.take(str(requests.dead_letter))

    assert (await reply.decode())["code"] == "undecodable-message"
    assert SECRET.encode() in buried.body
    assert buried.headers["dead_letter_receive_count"] == "1"
    assert "Ask" in buried.headers["dead_letter_reason"]
    assert SECRET not in str(buried.headers)
    assert SECRET not in str(lines)
    assert handled == []


async def test_a_transient_error_is_tried_again_after_its_delay_and_then_answered(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker(error_reply=refuse)
    counts: list[int] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> Answer:
        counts.append(message.receive_count)
        if len(counts) == 1:
            raise TransientError("busy", "Not now.", delay_seconds=0.1)
        return Done(number=ask.number)

    await broker.start()
    reply = await broker.request(Ask(number=5), requests.name, timeout=20, reply_type=Answer)
    assert await reply.decode() == Done(number=5)
    assert counts == [1, 2]


async def test_a_failed_message_stays_hidden_while_others_are_worked_on(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()
    numbers: list[int] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> None:
        numbers.append(ask.number)
        if ask.number == 0:
            raise TransientError("busy", "Not now.", delay_seconds=60)

    await broker.start()
    await broker.publish(Ask(number=0), requests.name)
    await eventually(lambda: numbers == [0])
    for number in range(1, 6):
        reply = await broker.request(Ask(number=number), requests.name, timeout=10)
        assert await reply.decode() is None
    await broker.stop()

    assert numbers == [0, 1, 2, 3, 4, 5]
    assert await queues.counts(requests.name) == (0, 1)


async def test_a_bug_is_retried_until_the_attempts_are_spent_then_answered_and_buried(
    make_broker: MakeBroker, queues: Queues, queue_prefix: str
) -> None:
    queue = SQSQueue(f"{queue_prefix}r", dead_letter=f"{queue_prefix}d", max_receive_count=2)
    broker = make_broker(error_reply=refuse)

    @broker.subscriber(queue)
    async def handle(ask: Ask) -> Answer:
        raise ValueError(SECRET)

    await broker.start()
    with capture_logs() as lines:
        reply = await broker.request(Ask(number=1), queue.name, timeout=20, reply_type=Answer)
        buried = await queues.take(f"{queue_prefix}d")

    assert await reply.decode() == Refused(code="internal", number=2)
    assert buried.headers["dead_letter_code"] == "internal"
    assert buried.headers["dead_letter_receive_count"] == "2"
    assert "ValueError" in buried.headers["dead_letter_reason"]
    assert SECRET not in str(buried.headers) + str(lines)
    failures = [line for line in lines if line["event"] == "message failed"]
    assert [line["verdict"] for line in failures] == ["retry", "bury"]
    assert all("in handle" in line["traceback"] for line in failures)


async def test_a_request_is_not_deleted_before_its_reply_is_stored(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    """A reply that SQS cannot carry: had the request been deleted first, nothing would be left."""
    broker = make_broker(error_reply=refuse)

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> Answer:
        return Done(number=ask.number, text="x" * 1_100_000)

    await broker.start()
    reply = await broker.request(Ask(number=3), requests.name, timeout=10, reply_type=Answer)
    assert await reply.decode() == Refused(code="message-too-large", number=1)
    buried = await queues.take(str(requests.dead_letter))
    assert buried.body == b'{"number":3,"text":""}'


async def test_without_a_dead_letter_queue_a_failed_message_is_kept(
    make_broker: MakeBroker, queues: Queues, queue_prefix: str
) -> None:
    broker = make_broker(error_reply=refuse)

    @broker.subscriber(f"{queue_prefix}alone")
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("no", "Never.")

    await broker.start()
    await broker.request(Ask(number=1), f"{queue_prefix}alone", timeout=10)
    await broker.stop()
    assert await queues.counts(f"{queue_prefix}alone") == (0, 1)


async def test_without_an_error_reply_the_caller_waits_in_vain(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("no", "Never.")

    await broker.start()
    with pytest.raises(ReplyTimeoutError):
        await broker.request(Ask(number=1), requests.name, timeout=1)
    assert (await queues.take(str(requests.dead_letter))).headers["dead_letter_code"] == "no"


async def test_an_error_reply_that_fails_does_not_keep_the_request_from_its_grave(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    async def broken(error: Exception, message: SQSMessage) -> Any:
        raise RuntimeError(SECRET)

    broker = make_broker()

    @broker.subscriber(requests, error_reply=broken)
    async def handle(ask: Ask) -> Answer:
        raise PermanentError("no", "Never.")

    await broker.start()
    with capture_logs() as lines:
        await broker.publish(Ask(number=1), requests.name, reply_to=requests.name)
        buried = await queues.take(str(requests.dead_letter))
    assert buried.headers["dead_letter_code"] == "no"
    assert SECRET not in str(lines)


async def test_a_handler_may_say_itself_what_becomes_of_its_message(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()

    @broker.subscriber(requests)
    async def handle(ask: Ask) -> None:
        if ask.number == 0:
            raise NackMessage(delay_seconds=60)
        raise RejectMessage(code="asked", reason="The handler said so.")

    await broker.start()
    await broker.publish_batch(Ask(number=0), Ask(number=1), queue=requests.name)
    buried = await queues.take(str(requests.dead_letter))
    await broker.stop()
    assert buried.headers["dead_letter_reason"] == "The handler said so."
    assert await queues.counts(requests.name) == (0, 1)


async def test_under_the_manual_policy_only_the_handler_settles(
    make_broker: MakeBroker, requests: SQSQueue, queues: Queues
) -> None:
    broker = make_broker()
    numbers: list[int] = []

    @broker.subscriber(requests, ack_policy=AckPolicy.MANUAL)
    async def handle(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> None:
        numbers.append(ask.number)
        if ask.number == 0:
            raise PermanentError("no", "Never.")
        await message.ack()
        await message.nack()  # settled already: nothing happens

    await broker.start()
    await broker.publish_batch(Ask(number=0), Ask(number=1), queue=requests.name)
    await eventually(lambda: sorted(numbers) == [0, 1])
    await broker.stop()
    assert await queues.counts(requests.name) == (0, 1)
    assert await queues.counts(str(requests.dead_letter)) == (0, 0)


async def test_a_message_stays_its_workers_own_for_longer_than_its_visibility(
    make_broker: MakeBroker, queues: Queues, queue_prefix: str
) -> None:
    queue = SQSQueue(f"{queue_prefix}slow", visibility_seconds=2)
    broker = make_broker()
    counts: list[int] = []

    @broker.subscriber(queue)
    async def handle(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> Answer:
        counts.append(message.receive_count)
        await asyncio.sleep(4)  # twice the visibility: without a lease it comes again
        return Done(number=ask.number)

    await broker.start()
    await broker.request(Ask(number=1), queue.name, timeout=20)
    await broker.stop()
    assert counts == [1]
    assert await queues.counts(queue.name) == (0, 0)


async def test_a_message_handed_out_twice_gives_its_caller_one_answer(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker()
    handled: list[int] = []

    @broker.subscriber(requests)
    async def handle(ask: Ask, message: Annotated[SQSMessage, Context("message")]) -> Answer:
        handled.append(ask.number)
        answer = Done(number=ask.number)
        if ask.number == 1:  # as a worker does that dies between its reply and its delete
            await broker.publish(answer, message.reply_to, correlation_id=message.correlation_id)
        return answer

    await broker.start()
    for number in (1, 2):
        reply = await broker.request(
            Ask(number=number), requests.name, timeout=10, reply_type=Answer
        )
        assert (await reply.decode()).number == number
    assert handled == [1, 2]
