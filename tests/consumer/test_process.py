"""The worker as a process: how it starts, what it shows, how it ends."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec

from common.messages import Completed
from consumer.prediction import CHUNK_ROWS
from tests.consumer.conftest import Caller, Start
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import request_of, train


async def test_a_worker_told_to_stop_finishes_what_it_holds(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    model = train(family, generation=1, rounds=1500)
    registry.register(model)
    request = request_of(model, str(uuid4()), rows=4 * CHUNK_ROWS, fresh_id=True)
    worker = await asyncio.to_thread(start)
    asking = asyncio.create_task(caller.ask(request))
    await asyncio.to_thread(worker.wait_until_working)

    status = await asyncio.to_thread(worker.terminate)

    assert status == 0, worker.log.read_text()
    assert isinstance(await asking, Completed)
    assert await caller.stored(request.prediction_id) is not None
    assert await caller.waiting() == 0


async def test_a_worker_waits_for_its_model_and_says_so(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    request_model = train(family, generation=1)
    worker = await asyncio.to_thread(start, until_ready=False)
    health = await asyncio.to_thread(worker.health)
    assert health["problems"]
    assert any(family in problem for problem in health["problems"])

    version = registry.register(request_model)

    await asyncio.to_thread(worker.wait_until_ready)
    assert (await asyncio.to_thread(worker.health))["versions"] == {family: {"champion": version}}
    assert isinstance(await caller.ask(request_of(request_model, str(uuid4()))), Completed)


async def test_a_worker_shows_its_channels_and_measures_itself(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    worker = await asyncio.to_thread(start)
    await caller.ask(request_of(model, str(uuid4())))

    page = await asyncio.to_thread(worker.page, "/asyncapi")
    metrics = await asyncio.to_thread(worker.page, "/metrics")

    assert f"{caller.prefix}{family}-requests" in page
    assert "PredictionRequest" in page
    for stage in ("queue", "decode", "features", "predict", "settle"):
        assert (
            f'carimbo_consumer_stage_seconds_count{{model="{family}",stage="{stage}"}} 1' in metrics
        )
    assert f'carimbo_consumer_version_loaded{{model="{family}",version="1"}} 1.0' in metrics


async def test_no_cell_of_a_file_reaches_the_log(
    registry: TestRegistry, caller: Caller, start: Start, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    worker = await asyncio.to_thread(start, CARIMBO_LOG_LEVEL="DEBUG")
    poison = {"weight": ["1.5"], "sent": ["canary-of-a-date"], "carrier": ["canary-of-a-word"]}
    request = request_of(
        model, str(uuid4()), rows=1, columns=msgspec.Raw(msgspec.json.encode(poison))
    )

    await caller.ask(request)
    await asyncio.to_thread(worker.terminate)

    log = worker.log.read_text()
    assert request.prediction_id in log
    assert "canary" not in log
