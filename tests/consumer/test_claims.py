"""Rows that are elsewhere are labelled as those in a message are, and none is left or lost."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from uuid import uuid4

import msgspec
import pytest

from common.claims import Claims, sweep_claims
from common.deadletters import ALL, open_office
from common.messages import (
    Completed,
    Failed,
    FailureCode,
    PredictionReply,
    PredictionRequest,
    Stored,
)
from common.sqs.limits import SMALLEST_MESSAGE_LIMIT_BYTES
from common.topology import dead_letter_queue, promise_key, requests_queue, result_key
from consumer.results import failed
from consumer.settings import Settings
from tests.consumer.conftest import Caller, Running
from tests.consumer.registering import TestRegistry
from tests.consumer.test_settling import URL, orders_in
from tests.consumer.test_versions import _until_served
from tests.consumer.tiny_models import request_of, train

NO_GRACE = timedelta(seconds=-5)
"""The store stamps whole seconds, so that what was just written may look younger than nothing."""

TOO_MANY_ROWS = 30_000
"""Neither the request nor its result fits into a message of the smallest limit."""


async def claimed(caller: Caller, request: PredictionRequest) -> PredictionRequest:
    """The request as it travels when its rows do not fit."""
    lighter = await Claims(caller.store).lighten(request)
    assert isinstance(lighter, PredictionRequest)
    assert lighter.claim is not None
    return lighter


async def keys(caller: Caller, prefix: str = "") -> set[str]:
    return {stat.key async for stat in caller.store.walk(prefix)}


async def test_rows_that_were_claimed_get_the_labels_they_would_get_in_a_message(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        whole = await caller.ask(request_of(model, str(uuid4()), rows=50))
        request = await claimed(caller, request_of(model, str(uuid4()), rows=50))
        reply = await caller.ask(request)

    assert isinstance(whole, Completed)
    assert isinstance(reply, Completed)
    assert (reply.lines, reply.labels) == (whole.lines, whole.labels)
    assert reply.confidences == whole.confidences
    assert await caller.stored(request.prediction_id) == reply


async def test_what_fits_in_neither_direction_is_answered_by_the_stored_result(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    narrow = settings.model_copy(update={"message_limit_bytes": SMALLEST_MESSAGE_LIMIT_BYTES})
    request = request_of(model, str(uuid4()), rows=TOO_MANY_ROWS, fresh_id=True)

    async with running(narrow):
        reply = await caller.broker.request(
            await claimed(caller, request),
            requests_queue(caller.prefix, family),
            timeout=30,
            headers={"budget_ms": "30000"},
        )
        told = msgspec.json.decode(reply.body, type=PredictionReply | Stored)
        found = await caller.stored(request.prediction_id)  # at once: it was stored before

    assert told == Stored(prediction_id=request.prediction_id)
    assert isinstance(found, Completed)
    assert found.lines == request.lines


@pytest.mark.parametrize("damage", ["gone", "changed", "shorter"])
async def test_rows_that_are_lost_end_the_prediction_with_that_reason_for_everybody(  # noqa: PLR0913, PLR0917
    damage: str,
    registry: TestRegistry,
    running: Running,
    caller: Caller,
    settings: Settings,
    family: str,
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        whole = request_of(model, str(uuid4()), callback_url=URL, fresh_id=True)
        request = await claimed(caller, whole)
        claim = request.claim
        assert claim is not None
        content = await caller.store.get(claim.key) or b""
        others = {"changed": content.replace(b"barge", b"train"), "shorter": content[:-2]}
        if damage == "gone":
            await caller.store.delete(claim.key)
        else:
            assert others[damage] != content
            await caller.store.put_file(claim.key, BytesIO(others[damage]), "text/plain")
        reply = await caller.ask(request)
        await caller.when_empty()

    assert isinstance(reply, Failed)
    assert reply.code == FailureCode.CLAIM_LOST
    assert await caller.stored(request.prediction_id) == reply
    headers = await caller.bury_reason()
    assert headers["dead_letter_code"] == FailureCode.CLAIM_LOST
    assert headers["dead_letter_reason"] == reply.message
    assert [order.prediction_id for order in await orders_in(caller)] == [request.prediction_id]


async def test_a_late_delivery_whose_rows_were_swept_is_told_what_was_answered(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        request = await claimed(caller, request_of(model, str(uuid4())))
        first = await caller.ask(request)
        assert await sweep_claims(caller.store, NO_GRACE) == 1
        again = await caller.ask(request)
        await caller.when_empty()

    assert isinstance(first, Completed)
    assert again == first
    assert await caller.buried() == 0


async def test_a_claimed_request_orders_its_callback_once_its_result_is_stored(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        whole = request_of(model, str(uuid4()), keep=True, callback_url=URL)
        request = await claimed(caller, whole)
        await caller.send(request)
        await caller.when_empty()

    (order,) = await orders_in(caller)
    assert (order.prediction_id, order.url) == (request.prediction_id, URL)
    assert isinstance(await caller.stored(request.prediction_id), Completed)


async def test_a_buried_request_is_redriven_with_the_rows_that_waited_for_it(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    registry.register(train(family, generation=1))
    model = train(family, generation=2, title="Parcels, read otherwise")

    async with running(settings) as parts:
        request = await claimed(caller, request_of(model, str(uuid4()), fresh_id=True))
        refused = await caller.ask(request)
        await caller.when_empty()
        assert isinstance(refused, Failed)
        assert refused.code == FailureCode.CONTRACT_MISMATCH
        assert await sweep_claims(caller.store, NO_GRACE) == 0

        version = registry.register(model)
        await _until_served(parts, family, "champion", version)
        async with open_office(
            prefix=caller.prefix, model=family, bucket=settings.bucket
        ) as office:
            report = await office.redrive(ALL)
        assert report.done == 1
        result = await caller.when_stored(request.prediction_id)
        await caller.when_empty()

    assert isinstance(result, Completed)
    assert result.lines == list(range(2, 7))
    assert await sweep_claims(caller.store, NO_GRACE) == 1
    identity = request.prediction_id
    assert await keys(caller) == {result_key(identity), promise_key(identity)}


async def test_when_all_is_answered_every_object_belongs_to_a_kept_prediction(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    other = train(family, generation=1, title="Parcels, read otherwise")
    wholes = {
        "completed": request_of(model, str(uuid4())),
        "expired": request_of(model, str(uuid4()), fresh_id=True),
        "unknown": request_of(model, str(uuid4()), version="99"),
        "cancelled": request_of(model, str(uuid4()), keep=True),
        "buried": request_of(other, str(uuid4())),
    }
    live = request_of(model, str(uuid4()))

    async with running(settings):
        asked = {name: await claimed(caller, whole) for name, whole in wholes.items()}
        end = failed(asked["cancelled"], FailureCode.CANCELLED, "Cancelled.")
        place = result_key(end.prediction_id)
        await caller.store.put_once(place, msgspec.json.encode(end), "application/json")
        for name, request in asked.items():
            await caller.ask(request, budget_ms=0 if name == "expired" else 30_000)
        await caller.when_empty()

    waiting = await claimed(caller, live)
    await caller.send(waiting)  # no worker is left: it waits
    assert waiting.claim is not None
    assert len(await keys(caller, "claims/")) == len(asked) + 1
    assert await sweep_claims(caller.store, NO_GRACE) == len(asked) - 1
    buried = asked["buried"].claim
    assert buried is not None
    assert await keys(caller, "claims/") == {buried.key, waiting.claim.key}

    async with open_office(prefix=caller.prefix, model=family, bucket=settings.bucket) as office:
        assert (await office.purge(ALL)).done == 1
    assert await keys(caller, "claims/") == {waiting.claim.key}
    async with running(settings):
        assert isinstance(await caller.when_stored(live.prediction_id), Completed)
        await caller.when_empty()
    assert await sweep_claims(caller.store, NO_GRACE) == 1
    kept = {request.prediction_id for request in asked.values()} | {live.prediction_id}
    owners = {key.split("/")[1].removesuffix(".json") for key in await keys(caller)}
    assert owners == kept
    assert {key.partition("/")[0] for key in await keys(caller)} == {"results", "accepted"}
    assert await caller.waiting(dead_letter_queue(caller.prefix, family)) == 0
