"""Copies for a shadow: sent beside the request, and dropped before anybody has to wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from common.aws import aws_client
from common.faststream_sqs import SQSBroker
from common.messages import PredictionRequest
from common.registry.routing import RoutingTag, Shadow
from common.sqs import ensure_queue
from common.topology import shadow_queue
from producer import shadows
from producer.settings import Settings
from tests.producer.conftest import PATIENCE_SECONDS, Client
from tests.producer.parts import (
    CONTRACT,
    MODEL,
    RegistryServer,
    Worker,
    parcels_file,
    reply_at_once,
)

Received = list[PredictionRequest]


@asynccontextmanager
async def onlooker(prefix: str) -> AsyncIterator[Received]:
    """A shadow worker that only notes what it gets; it makes the queue."""
    received: Received = []
    broker = SQSBroker(wait_seconds=1)

    @broker.subscriber(shadow_queue(prefix, MODEL))
    async def note(request: PredictionRequest) -> None:
        received.append(request)

    await broker.start()
    try:
        yield received
    finally:
        await broker.stop()


async def begin(client: Client, registry: RegistryServer, contract: str = CONTRACT) -> None:
    """Make version 2 the shadow, and wait until the producer knows."""
    registry.contracts["2"] = contract
    tag = msgspec.json.encode(Shadow(version="2", since="then")).decode()
    registry.tags[RoutingTag.SHADOW] = tag
    await until(lambda: client.producer.catalogue.models[MODEL].shadow is not None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.02)


async def counted(client: Client, outcome: str) -> float:
    page = (await client.http.get("/metrics")).text
    line = f'carimbo_shadow_copies_total{{model="{MODEL}",outcome="{outcome}"}} '
    return sum(
        float(each.removeprefix(line)) for each in page.splitlines() if each.startswith(line)
    )


async def test_a_copy_goes_to_the_shadow_under_its_version_and_the_client_sees_the_champion(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    async with onlooker(settings.queue_prefix) as received:
        await begin(client, registry)
        at_once = await client.send(parcels_file())
        later = await client.send(parcels_file(), prefer="respond-async")
        await until(lambda: len(received) == 2)

    assert (at_once.status_code, at_once.json()["version"]) == (200, "1")
    assert later.status_code == 202
    asked = {request.prediction_id: request for request in worker.seen}
    for copy in received:
        request = asked[copy.prediction_id]
        assert (request.alias, request.version) == ("champion", None)
        assert (copy.alias, copy.version, copy.keep) == (None, "2", False)
        assert bytes(copy.columns) == bytes(request.columns)
        assert (copy.lines, copy.fingerprint) == (request.lines, request.fingerprint)


async def test_without_a_queue_that_a_shadow_worker_made_the_client_notices_nothing(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    await begin(client, registry)

    for number in range(3):
        assert (await client.send(parcels_file())).status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await counted(client, "no-queue") <= number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_a_queue_that_nobody_reads_fills_and_the_client_notices_nothing(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    async with aws_client("sqs", connections=1) as sqs:
        queue = shadow_queue(settings.queue_prefix, MODEL)
        await ensure_queue(sqs, queue, visibility_seconds=30)
    await worker.start(settings.queue_prefix, reply_at_once)
    await begin(client, registry)

    for number in range(5):
        assert (await client.send(parcels_file())).status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await counted(client, "sent") <= number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_copies_are_dropped_when_too_many_are_under_way(
    client: Client,
    worker: Worker,
    settings: Settings,
    registry: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shadows, "MOST_SENDING", 0)
    await worker.start(settings.queue_prefix, reply_at_once)
    await begin(client, registry)

    assert (await client.send(parcels_file())).status_code == 200
    assert await counted(client, "busy") == 1


async def test_what_the_shadow_cannot_be_compared_on_is_not_copied(
    client: Client,
    worker: Worker,
    settings: Settings,
    registry: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    await begin(client, registry)
    assert (await client.send(parcels_file(), "?version=2")).json()["version"] == "2"
    assert await counted(client, "same-version") == 1

    monkeypatch.setattr(shadows, "LARGEST_COPY_BYTES", 10)
    await client.send(parcels_file())
    assert await counted(client, "too-large") == 1


async def test_a_shadow_of_another_contract_gets_no_copy(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    await begin(client, registry, CONTRACT.replace("title: Parcels", "title: Others"))

    assert (await client.send(parcels_file())).status_code == 200
    assert await counted(client, "other-contract") == 1
