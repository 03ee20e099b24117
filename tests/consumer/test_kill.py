"""A worker dies with a request in its hands: the request is answered all the same."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from common.messages import Completed
from consumer.prediction import CHUNK_ROWS
from tests.consumer.conftest import Caller, Start
from tests.consumer.processes import StallingStore
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import request_of, train


async def test_a_request_whose_worker_dies_while_it_predicts_is_answered_by_another(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    """Red as soon as the message is deleted at its receipt (ack policy ``ACK_FIRST``)."""
    model = train(family, generation=1, rounds=4000)
    registry.register(model)
    request = request_of(model, str(uuid4()), rows=4 * CHUNK_ROWS, fresh_id=True)
    first = await asyncio.to_thread(start)
    asking = asyncio.create_task(caller.ask(request))
    await asyncio.to_thread(first.wait_until_working)

    await asyncio.to_thread(first.kill)

    assert await caller.stored(request.prediction_id) is None
    assert not asking.done()
    await asyncio.to_thread(start)
    reply = await asking
    assert isinstance(reply, Completed)
    assert reply.lines == request.lines
    assert await caller.when_stored(request.prediction_id) == reply
    await caller.when_empty()


async def test_a_request_whose_worker_dies_before_its_result_is_stored_is_stored_by_another(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    """The store takes the first worker's write and never answers; there it is killed.

    Red when ``await message.ack()`` is put before ``predictions.answer`` in
    ``consumer/subscriptions.py``, or anywhere else before the store's answer: the request is gone
    with its worker and no result ever appears.
    """
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)
    with StallingStore(caller.engine_url).running() as store:
        first = await asyncio.to_thread(start, AWS_ENDPOINT_URL_S3=store.url)
        asking = asyncio.create_task(caller.ask(request))
        assert await asyncio.to_thread(store.held.wait, 30)

        await asyncio.to_thread(first.kill)

    assert await caller.stored(request.prediction_id) is None
    await asyncio.to_thread(start)
    assert isinstance(await caller.when_stored(request.prediction_id), Completed)
    assert isinstance(await asking, Completed)
    await caller.when_empty()
