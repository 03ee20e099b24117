from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from prometheus_client import REGISTRY

from common.errors import PermanentError, TransientError
from common.sqs import OutgoingMessage, ReplyInbox, Sender
from common.sqs.reply_queue import LEASE_TAG, OWNER_TAG, ROLE, ROLE_TAG, lease_end

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
Open = Callable[..., Awaitable[ReplyInbox]]


@pytest.fixture
async def open_inbox(sqs: SQSClient, queue_prefix: str) -> AsyncIterator[Open]:
    """Open an inbox that is stopped at the end, if the test did not stop it."""
    inboxes: list[ReplyInbox] = []

    async def open_one(**options: float) -> ReplyInbox:
        inbox = ReplyInbox(
            sqs,
            prefix=queue_prefix,
            owner="replica-1",
            wait_seconds=int(options.pop("wait_seconds", 2)),
            most_waiters=int(options.pop("most_waiters", 100)),
            **options,
        )
        await inbox.start()
        inboxes.append(inbox)
        return inbox

    yield open_one
    await asyncio.gather(*(inbox.stop() for inbox in inboxes))


def _reply(correlation_id: str, body: bytes = b"reply") -> OutgoingMessage:
    return OutgoingMessage(body=body, headers={"correlation_id": correlation_id})


def _outcome(outcome: str) -> float:
    return REGISTRY.get_sample_value("carimbo_sqs_replies_total", {"outcome": outcome}) or 0.0


async def _messages(sqs: SQSClient, queue_url: str) -> int:
    answer = await sqs.get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(int(count) for count in answer["Attributes"].values())


async def test_every_waiter_gets_its_own_reply_whatever_the_order(
    sqs: SQSClient, open_inbox: Open
) -> None:
    inbox, sender = await open_inbox(), Sender(sqs)

    async def request(name: str) -> bytes:
        with inbox.expect(name) as waiter:
            return (await waiter.reply(10)).body

    names = [f"request {number}" for number in range(30)]
    requests = [asyncio.ensure_future(request(name)) for name in names]
    await asyncio.sleep(0)
    await asyncio.gather(
        *(sender.send(inbox.address, _reply(name, name.encode())) for name in reversed(names))
    )
    assert await asyncio.gather(*requests) == [name.encode() for name in names]


async def test_two_replicas_never_share_a_queue(sqs: SQSClient, open_inbox: Open) -> None:
    first, second = await open_inbox(), await open_inbox()
    assert first.address != second.address
    sender = Sender(sqs)
    for _ in range(3):
        with first.expect("one") as one, second.expect("two") as two:
            await sender.send(first.address, _reply("one", b"to the first"))
            await sender.send(second.address, _reply("two", b"to the second"))
            assert (await one.reply(10)).body == b"to the first"
            assert (await two.reply(10)).body == b"to the second"


async def test_late_and_repeated_replies_are_dropped_and_counted(
    sqs: SQSClient, open_inbox: Open, eventually: Eventually
) -> None:
    inbox, sender = await open_inbox(), Sender(sqs)
    before = _outcome("unclaimed")
    with inbox.expect("late") as waiter, pytest.raises(TimeoutError):
        await waiter.reply(0.01)
    assert not inbox._waiting
    await sender.send(inbox.address, _reply("late"))
    with inbox.expect("twice") as waiter:
        await sender.send(inbox.address, _reply("twice"))
        await sender.send(inbox.address, _reply("twice"))
        assert (await waiter.reply(10)).body == b"reply"
        await eventually(lambda: _outcome("unclaimed") == before + 2)
    await sender.send(inbox.address, OutgoingMessage(body=b"without a correlation id"))
    await eventually(lambda: _outcome("unclaimed") == before + 3)
    async with asyncio.timeout(10):
        while await _messages(sqs, inbox.address):  # noqa: ASYNC110 - the engine counts late
            await asyncio.sleep(0.05)


async def test_a_waiter_can_wait_again_after_a_timeout(sqs: SQSClient, open_inbox: Open) -> None:
    inbox = await open_inbox()
    with inbox.expect("slow") as waiter:
        with pytest.raises(TimeoutError):
            await waiter.reply(0.01)
        await Sender(sqs).send(inbox.address, _reply("slow"))
        assert (await waiter.reply(10)).body == b"reply"


async def test_the_number_of_waiters_is_bounded_and_their_ids_are_distinct(
    open_inbox: Open,
) -> None:
    inbox = await open_inbox(most_waiters=2)
    with inbox.expect("one"):
        with pytest.raises(PermanentError, match="already awaited"):
            inbox.expect("one")
        with inbox.expect("two"), pytest.raises(TransientError, match="try again later"):
            inbox.expect("three")
        with inbox.expect("two"):
            pass


async def test_the_queue_is_leased_from_its_first_moment_and_the_lease_moves_on(
    sqs: SQSClient, open_inbox: Open
) -> None:
    inbox = await open_inbox(lease_seconds=3)
    tags = (await sqs.list_queue_tags(QueueUrl=inbox.address))["Tags"]
    assert tags[ROLE_TAG] == ROLE
    assert tags[OWNER_TAG] == "replica-1"
    first = lease_end(tags)
    assert first is not None
    async with asyncio.timeout(10):
        while True:
            tags = (await sqs.list_queue_tags(QueueUrl=inbox.address))["Tags"]
            if float(tags[LEASE_TAG]) > first:
                break
            await asyncio.sleep(0.1)


async def test_a_stop_deletes_the_queue_without_waiting_for_the_long_poll(
    sqs: SQSClient, open_inbox: Open
) -> None:
    inbox = await open_inbox(wait_seconds=20)
    address = inbox.address
    await asyncio.sleep(0.3)  # the poll is in flight by now
    async with asyncio.timeout(10):
        await inbox.stop()
    with pytest.raises(ClientError, match="NonExistentQueue"):
        await sqs.get_queue_attributes(QueueUrl=address, AttributeNames=["QueueArn"])
    with pytest.raises(RuntimeError, match="call start"):
        assert inbox.address


async def test_whoever_still_waits_at_a_stop_is_told_so(open_inbox: Open) -> None:
    inbox = await open_inbox()
    with inbox.expect("never"), inbox.expect("nobody asks"):
        pass
    with inbox.expect("never") as waiter, inbox.expect("nobody asks"):
        waiting = asyncio.ensure_future(waiter.reply(30))
        await asyncio.sleep(0)
        await inbox.stop()
        with pytest.raises(TransientError, match="stopped"):
            await waiting


async def test_a_queue_that_vanishes_is_replaced_under_another_address(
    sqs: SQSClient, open_inbox: Open, eventually: Eventually
) -> None:
    inbox = await open_inbox()
    lost = inbox.address
    await sqs.delete_queue(QueueUrl=lost)
    await eventually(lambda: inbox.address != lost)
    with inbox.expect("after") as waiter:
        await Sender(sqs).send(inbox.address, _reply("after"))
        assert (await waiter.reply(10)).body == b"reply"
