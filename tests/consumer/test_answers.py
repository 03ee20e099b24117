from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import msgspec

from common.messages import Completed, Failed
from common.topology import result_key
from consumer.settings import Settings
from tests.consumer.conftest import Caller, Running
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import request_of, train


async def test_every_row_gets_a_label_of_the_version_behind_the_alias(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    version = registry.register(model)
    how_it_was_read: dict[str, str | int | None] = {"format": "delimited", "header_line": 1}
    request = request_of(model, str(uuid4()), rows=7, dialect=how_it_was_read)

    async with running(settings):
        reply = await caller.ask(request)

        assert isinstance(reply, Completed)
        assert reply.version == version
        assert reply.dialect == how_it_was_read
        assert reply.lines == request.lines
        assert len(reply.labels) == len(reply.confidences) == 7
        assert set(reply.labels) <= set(model.labels)
        assert all(0 <= confidence <= 1 for confidence in reply.confidences)
        assert set(reply.stages) == {"queue", "decode", "features", "predict"}
        assert await caller.when_stored(request.prediction_id) == reply
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_what_is_told_and_what_is_kept_are_the_same_bytes(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)

    async with running(settings):
        reply = await caller.ask(request)

        await caller.when_stored(request.prediction_id)
        assert await caller.store.get(result_key(request.prediction_id)) == msgspec.json.encode(
            reply
        )


async def test_the_same_request_twice_gets_the_same_answer_and_one_result(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()))

    async with running(settings):
        first = await caller.ask(request)
        registry.register(train(family, generation=2))
        await asyncio.sleep(2 * settings.registry_refresh.total_seconds())
        second = await caller.ask(request)

        assert second == first
        assert await caller.stored(request.prediction_id) == first


async def test_two_deliveries_at_once_leave_one_result(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)

    async with running(settings):
        replies = await asyncio.gather(*(caller.ask(request) for _ in range(4)))

        await caller.when_empty()
        stored = await caller.stored(request.prediction_id)
        assert isinstance(stored, Completed)
        assert {tuple(reply.labels) for reply in replies if isinstance(reply, Completed)} == {
            tuple(stored.labels)
        }
        assert await caller.buried() == 0


async def test_an_id_that_belongs_to_another_file_is_refused_and_its_result_kept(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    prediction_id = str(uuid4())

    async with running(settings):
        first = await caller.ask(request_of(model, prediction_id, seed=1))
        second = await caller.ask(request_of(model, prediction_id, seed=2))

        assert isinstance(second, Failed)
        assert second.code == "prediction-id-reused"
        assert await caller.stored(prediction_id) == first
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_a_request_that_nobody_awaits_is_answered_as_expired_without_a_label(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()))

    async with running(settings):
        reply = await caller.ask(request, budget_ms=0)

        assert isinstance(reply, Failed)
        assert reply.code == "expired"
        assert await caller.when_stored(request.prediction_id) == reply
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_a_request_whose_result_is_fetched_later_is_labelled_past_its_budget(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        reply = await caller.ask(request_of(model, str(uuid4()), keep=True), budget_ms=0)

        assert isinstance(reply, Completed)


async def test_a_caller_that_has_left_costs_no_second_prediction(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)

    async with running(settings):
        gone = f"{settings.queue_prefix}replies-gone"
        await caller.broker.publish(
            request, f"{settings.queue_prefix}{family}-requests", reply_to=gone
        )

        assert isinstance(await caller.when_stored(request.prediction_id), Completed)
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_a_store_that_is_away_delays_the_answer_and_loses_nothing(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()))

    async with running(settings) as parts:
        await _remove_bucket(parts.store)
        asking = asyncio.create_task(caller.ask(request))
        await asyncio.sleep(0.5)
        assert not asking.done()
        await parts.store.ensure_bucket()

        assert isinstance(await asking, Completed)
        await caller.when_empty()


async def test_two_workers_share_a_queue_and_answer_everything_once(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    requests = [request_of(model, str(uuid4()), rows=1 + n % 9, seed=n) for n in range(60)]

    async with AsyncExitStack() as workers:
        for _ in range(2):
            await workers.enter_async_context(running(settings))
        replies = await asyncio.gather(*(caller.ask(request) for request in requests))

        assert [reply.fingerprint for reply in replies] == [r.fingerprint for r in requests]
        assert [_lines(reply) for reply in replies] == [r.lines for r in requests]
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_a_redelivery_tells_what_was_decided_the_first_time(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    """The first worker got as far as the store, and then neither replied nor deleted."""
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)
    decided = Completed(
        prediction_id=request.prediction_id,
        model=family,
        version="from an earlier life",
        fingerprint=request.fingerprint,
        rows_read=1,
        lines=[2],
        labels=["decided"],
        confidences=[1.0],
    )

    async with running(settings) as parts:
        key = result_key(request.prediction_id)
        await parts.broker.stop()
        asking = asyncio.create_task(caller.ask(request))
        await _receive_and_forget(caller)
        await caller.store.put_once(key, msgspec.json.encode(decided), "application/json")
        await parts.broker.start()

        assert await asking == decided


def _lines(reply: Completed | Failed) -> list[int]:
    assert isinstance(reply, Completed), reply
    return reply.lines


async def _remove_bucket(store: Any) -> None:
    await store._client.delete_bucket(Bucket=store.bucket)


async def _receive_and_forget(caller: Caller) -> None:
    """Receive the message as a worker that dies at once would."""
    name = f"{caller.prefix}{caller.family}-requests"
    url = (await caller.sqs.get_queue_url(QueueName=name))["QueueUrl"]
    answer = await caller.sqs.receive_message(QueueUrl=url, VisibilityTimeout=1, WaitTimeSeconds=5)
    assert answer["Messages"]
