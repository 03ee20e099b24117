"""Workers that only look on: they compare, keep the difference, and leave everything else alone."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from common.errors import PermanentError
from common.messages import Completed, Failed, PredictionId, PredictionRequest
from common.registry.routing import RoutingTag, Shadow
from common.shadows import Comparison
from common.sqs import ensure_queue
from common.topology import requests_queue, result_key, shadow_key, shadow_queue
from consumer.prediction import Prediction
from consumer.served_model import Scores
from consumer.settings import Settings
from consumer.shadowing import compare
from tests.consumer.conftest import PATIENCE_SECONDS, Caller, Running, Start
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import TinyModel, request_of, train


@pytest.fixture
def models(registry: TestRegistry, family: str) -> dict[str, TinyModel]:
    """The champion, and beside it the shadow, which gives other labels."""
    found = {}
    for generation, alias in ((1, "champion"), (2, None)):
        model = train(family, generation=generation)
        found[registry.register(model, alias)] = model
    tag = msgspec.json.encode(Shadow(version="2", since="then")).decode()
    registry._post("registered-models/set-tag", name=family, key=RoutingTag.SHADOW, value=tag)
    return found


@pytest.fixture
def looking_on(settings: Settings) -> Settings:
    return settings.model_copy(update={"shadow": True})


def copy_of(request: PredictionRequest) -> PredictionRequest:
    return msgspec.structs.replace(request, alias=None, version="2", keep=False)


async def send_copy(caller: Caller, request: PredictionRequest) -> None:
    await caller.broker.publish(copy_of(request), shadow_queue(caller.prefix, caller.family))


async def keep(caller: Caller, request: PredictionRequest, labels: list[str]) -> None:
    """Store what the client got, as a worker does."""
    result = Completed(
        prediction_id=request.prediction_id,
        model=caller.family,
        version="1",
        fingerprint=request.fingerprint,
        rows_read=len(labels),
        lines=request.lines,
        labels=labels,
        confidences=[0.5] * len(labels),
    )
    body = msgspec.json.encode(result)
    await caller.store.put_once(result_key(request.prediction_id), body, "application/json")


async def when_compared(caller: Caller, prediction_id: PredictionId) -> Comparison:
    key = shadow_key(caller.family, "2", prediction_id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await caller.store.get(key)
            if found is not None:
                return msgspec.json.decode(found, type=Comparison)
            await asyncio.sleep(0.05)


async def when_none_is_left(caller: Caller) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await caller.waiting(shadow_queue(caller.prefix, caller.family)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_copy_is_compared_with_what_the_client_got_and_the_result_stays_as_it_was(
    models: dict[str, TinyModel],
    running: Running,
    caller: Caller,
    settings: Settings,
    looking_on: Settings,
) -> None:
    async with running(settings), running(looking_on) as shadow:
        request = request_of(models["1"], str(uuid4()), rows=7)
        reply = await caller.ask(request)
        before = await caller.store.get(result_key(request.prediction_id))
        await send_copy(caller, request)
        found = await when_compared(caller, request.prediction_id)
        await when_none_is_left(caller)
        shadow.health.receiving = True
        condition = await shadow.health.ready()

    assert isinstance(reply, Completed)
    assert (found.version, found.primary_version) == ("2", "1")
    assert (found.rows, found.agreed) == (7, 0)  # the labels name their generation
    assert [each.line for each in found.differences] == reply.lines
    assert [each.label for each in found.differences] == reply.labels
    assert {each.shadow_label for each in found.differences} <= set(models["2"].labels)
    assert await caller.store.get(result_key(request.prediction_id)) == before
    assert condition.versions == {caller.family: {"(shadow)": "2"}}
    assert not condition.problems


async def test_a_copy_that_overtakes_the_result_waits_for_it(
    models: dict[str, TinyModel], running: Running, caller: Caller, looking_on: Settings
) -> None:
    request = request_of(models["1"], str(uuid4()), rows=3)
    labels = [models["2"].labels[0], *models["1"].labels[:2]]
    async with running(looking_on):
        await send_copy(caller, request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await visible(caller):  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.05)
        await keep(caller, request, labels)
        found = await when_compared(caller, request.prediction_id)

    assert found.rows == 3
    assert {each.line for each in found.differences} >= set(request.lines[1:])


async def visible(caller: Caller) -> int:
    """Copies that no worker has taken on."""
    queue = shadow_queue(caller.prefix, caller.family)
    url = (await caller.sqs.get_queue_url(QueueName=queue))["QueueUrl"]
    answer = await caller.sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.parametrize("trouble", ["no result ever comes", "columns that do not fit"])
async def test_a_copy_that_cannot_be_compared_is_given_up_without_a_trace(
    trouble: str,
    models: dict[str, TinyModel],
    running: Running,
    caller: Caller,
    looking_on: Settings,
) -> None:
    once = looking_on.model_copy(update={"max_attempts": 1})
    request = request_of(models["1"], str(uuid4()), rows=3)
    if trouble == "columns that do not fit":
        request = msgspec.structs.replace(request, columns=msgspec.Raw(b'{"weight": ["x"]}'))
    async with running(once):
        if trouble == "columns that do not fit":
            await keep(caller, request, ["a"] * 3)
        await send_copy(caller, request)
        await when_none_is_left(caller)

    key = shadow_key(caller.family, "2", request.prediction_id)
    assert await caller.store.get(key) is None
    if trouble == "no result ever comes":
        assert await caller.stored(request.prediction_id) is None


async def test_a_worker_that_looks_on_takes_nothing_from_the_requests(
    models: dict[str, TinyModel], running: Running, caller: Caller, looking_on: Settings
) -> None:
    queue = requests_queue(caller.prefix, caller.family)
    await ensure_queue(caller.sqs, queue, visibility_seconds=30)
    async with running(looking_on):
        request = request_of(models["1"], str(uuid4()))
        await caller.send(msgspec.structs.replace(request, keep=True))
        other = request_of(models["1"], str(uuid4()))
        await send_copy(caller, other)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await visible(caller):  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.05)

        assert await caller.waiting() == 1
        assert await caller.stored(request.prediction_id) is None


async def test_a_worker_without_a_shadow_to_follow_is_ready_and_idle(
    registry: TestRegistry, running: Running, caller: Caller, looking_on: Settings
) -> None:
    registry.register(train(caller.family, generation=1))
    async with running(looking_on) as worker:
        await when_none_is_left(caller)
        worker.health.receiving = True
        condition = await worker.health.ready()
    assert condition.versions == {caller.family: {}}
    assert condition.problems == []


async def test_a_killed_onlooker_changes_nothing_for_those_who_wait(
    models: dict[str, TinyModel], running: Running, caller: Caller, settings: Settings, start: Start
) -> None:
    onlooker = await asyncio.to_thread(start, CARIMBO_SHADOW="true")
    async with running(settings):
        replies: list[Completed | Failed] = []
        for number in range(12):
            request = request_of(models["1"], str(uuid4()), seed=number)
            await send_copy(caller, request)
            if number == 4:
                await asyncio.to_thread(onlooker.kill)
            replies.append(await caller.ask(request))

    assert all(isinstance(reply, Completed) and reply.version == "1" for reply in replies)


def test_versions_that_read_other_lines_are_not_compared() -> None:
    with pytest.raises(PermanentError, match="different contracts"):
        compare(completed(["a", "b"]), "2", prediction(["a"]))


def test_agreement_is_by_line() -> None:
    found = compare(completed(["a", "b", "a"]), "2", prediction(["a", "a", "a"]))
    assert (found.rows, found.agreed) == (3, 2)
    (difference,) = found.differences
    assert (difference.line, difference.label, difference.shadow_label) == (3, "b", "a")
    assert (found.confidence, found.shadow_confidence) == (0.5, 0.9)


def completed(labels: list[str]) -> Completed:
    return Completed(
        prediction_id=PredictionId("p"),
        model="parcels",
        version="1",
        fingerprint="f",
        rows_read=len(labels),
        lines=list(range(2, len(labels) + 2)),
        labels=labels,
        confidences=[0.5] * len(labels),
    )


def prediction(labels: list[str]) -> Prediction:
    return Prediction(Scores(labels, [0.9] * len(labels)), {"predict": 1.0})
