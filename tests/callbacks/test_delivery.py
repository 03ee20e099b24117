from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from callbacks.settings import Settings
from common.answers import answer_of
from common.callbacks import CallbackOrder
from common.topology import callbacks_queue, result_key
from tests.callbacks.conftest import (
    NEW_SECRET,
    OLD_SECRET,
    Desk,
    Running,
    completed,
    eventually,
    failed,
)
from tests.callbacks.receivers import Call, Receiver, Sentinel


def verify(call: Call, secret: str = NEW_SECRET) -> None:
    """As a receiver does it, with the standard's own library."""
    Webhook(secret).verify(call.body, dict(call.headers))


async def test_a_receiver_that_is_down_three_times_gets_it_once_it_is_up(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    receiver.script = [500, 503, 429]

    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [500, 503, 429, 204]
    assert len(receiver.calls) == 4
    for call in receiver.calls:
        verify(call)
    ids = {call.headers["webhook-id"] for call in receiver.calls}
    assert ids == {f"prediction_completed_{prediction_id}"}
    timestamps = [int(call.headers["webhook-timestamp"]) for call in receiver.calls]
    assert timestamps == sorted(set(timestamps))
    assert len({call.body for call in receiver.calls}) == 1
    assert await desk.buried() == 0


async def test_the_body_is_what_a_get_of_the_prediction_answers(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    result = completed()

    async with running(settings):
        await desk.order(receiver.url, result=result)
        await receiver.when_called(1)
        await desk.when_settled()

    body = msgspec.json.decode(receiver.calls[0].body)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "prediction.completed"
    assert msgspec.json.encode(answer_of(result)) in receiver.calls[0].body
    assert receiver.calls[0].headers["content-type"] == "application/json"


async def test_a_failed_prediction_is_told_too(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    result = failed()

    async with running(settings):
        await desk.order(receiver.url, result=result)
        await receiver.when_called(1)
        await desk.when_settled()

    body = msgspec.json.decode(receiver.calls[0].body)
    assert body["type"] == "prediction.failed"
    assert body["data"]["id"] == result.prediction_id
    assert body["data"]["code"] == result.code


async def test_each_secret_signs_so_that_receivers_can_change_over(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    both = Settings.model_validate(
        {**settings.model_dump(), "callback_secrets": f"{NEW_SECRET}, {OLD_SECRET}"}
    )

    async with running(both):
        await desk.order(receiver.url)
        await receiver.when_called(1)
        await desk.when_settled()

    verify(receiver.calls[0], NEW_SECRET)
    verify(receiver.calls[0], OLD_SECRET)
    with pytest.raises(WebhookVerificationError):
        verify(receiver.calls[0], "whsec_" + "c3RyYW5nZXI" * 4)


async def test_a_receiver_that_is_gone_is_never_called_again(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    receiver.status = 410

    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [410]
    assert len(receiver.calls) == 1
    assert (await desk.burial())["dead_letter_code"] == "callback-gone"


async def test_a_redirect_is_a_failure_and_is_not_followed(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    once = settings.model_copy(update={"callback_schedule": settings.callback_schedule[:1]})
    receiver.status = 307

    async with Sentinel().listening() as sentinel, running(once):
        receiver.answer_headers = {"location": f"http://127.0.0.1:{sentinel.port}/"}
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()

    assert sentinel.connections == 0
    assert await desk.outcomes(prediction_id) == [307]
    assert (await desk.burial())["dead_letter_code"] == "callback-exhausted"


async def test_a_schedule_that_is_used_up_buries_the_callback_with_its_reason(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    twice = settings.model_copy(update={"callback_schedule": settings.callback_schedule[:2]})
    receiver.status = 500

    async with running(twice):
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [500, 500]
    burial = await desk.burial()
    assert burial["dead_letter_code"] == "callback-exhausted"
    assert burial["dead_letter_reason"] == "All 2 attempts failed. The last: HTTP 500."
    assert await desk.buried() == 1


async def test_a_receiver_that_is_not_there_is_tried_again(
    desk: Desk, running: Running, settings: Settings
) -> None:
    async with Sentinel().listening() as closed:
        url = f"http://127.0.0.1:{closed.port}/"
    twice = settings.model_copy(update={"callback_schedule": settings.callback_schedule[:2]})

    async with running(twice):
        prediction_id = await desk.order(url)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == ["not-connected", "not-connected"]


async def test_an_order_that_comes_twice_is_delivered_once(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await receiver.when_called(1)
        await desk.when_settled()
        await desk.send(CallbackOrder(prediction_id=prediction_id, url=receiver.url))
        await desk.when_settled()

    assert len(receiver.calls) == 1


async def test_two_orders_of_one_prediction_share_one_schedule(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    receiver.script = [500, 500]

    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await receiver.when_called(1)
        await desk.send(CallbackOrder(prediction_id=prediction_id, url=receiver.url))
        await desk.when_settled()

    outcomes = await desk.outcomes(prediction_id)
    assert outcomes[:2] == [500, 500]
    assert set(outcomes[2:]) == {204}
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1


async def test_a_failure_that_is_redriven_and_completes_is_told_as_another_event(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    first = failed()
    second = completed(prediction_id=first.prediction_id)

    async with running(settings):
        await desk.order(receiver.url, result=first)
        await receiver.when_called(1)
        await desk.when_settled()
        await desk.store._client.delete_object(
            Bucket=desk.store.bucket, Key=result_key(first.prediction_id)
        )
        await desk.order(receiver.url, result=second)
        await receiver.when_called(2)
        await desk.when_settled()

    types = [msgspec.json.decode(call.body)["type"] for call in receiver.calls]
    assert types == ["prediction.failed", "prediction.completed"]
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 2


async def test_an_order_waits_for_a_result_that_is_being_replaced(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver
) -> None:
    result = completed()

    async with running(settings):
        order = CallbackOrder(prediction_id=result.prediction_id, url=receiver.url)
        await desk.send(order)
        await eventually(lambda: _was_received(desk))
        await desk.store_result(result)
        await desk.when_settled()

    assert len(receiver.calls) == 1


async def test_a_receiver_that_never_answers_does_not_hold_up_the_others(
    desk: Desk, running: Running, settings: Settings
) -> None:
    few = settings.model_copy(update={"callback_max_in_flight": 6, "callback_per_host": 2})

    async with AsyncExitStack() as stack:
        dead = await stack.enter_async_context(Receiver().serving(address="127.0.0.2"))
        well = await stack.enter_async_context(Receiver().serving())
        dead.hold()
        allowed = few.model_copy(update={"callback_allow": ("127.0.0.0/29",)})
        await stack.enter_async_context(running(allowed))
        for _ in range(20):
            await desk.order(f"http://127.0.0.2:{dead.port}/")
        await dead.when_called(2)
        for _ in range(5):
            await desk.order(well.url)
        async with asyncio.timeout(10):  # less than what an attempt may take
            await well.when_called(5)

        assert len(dead.calls) == 2
        assert dead.held is not None
        dead.held.set()


async def test_a_hostile_url_in_an_order_is_not_called_and_buried(
    desk: Desk, running: Running, settings: Settings
) -> None:
    nothing_allowed = settings.model_copy(update={"callback_allow": ()})

    async with Sentinel().listening() as sentinel, running(nothing_allowed):
        prediction_id = await desk.order(f"http://127.0.0.1:{sentinel.port}/")
        await desk.when_settled()

    assert sentinel.connections == 0
    assert await desk.outcomes(prediction_id) == ["url-refused"]
    assert (await desk.burial())["dead_letter_code"] == "callback-refused"


async def _was_received(desk: Desk) -> bool:
    url = (await desk.sqs.get_queue_url(QueueName=callbacks_queue(desk.prefix)))["QueueUrl"]
    answer = await desk.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return bool(int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"]))
