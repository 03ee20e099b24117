from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from common.messages import PredictionReply, PredictionRequest
from producer import admission
from producer.settings import Settings
from tests.producer.conftest import PATIENCE_SECONDS, Client, serving
from tests.producer.parts import (
    MODEL,
    Worker,
    labelled,
    parcels_file,
    reply_at_once,
    store_and_reply,
)
from tests.producer.test_deliveries import until_seen
from tests.producer.test_http import problem


async def until_refused(client: Client, prefer: str) -> httpx.Response:
    """Send until the replica knows better; what it takes on until then is none of its fault."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await client.send(parcels_file(), prefer=prefer)
            if answer.is_error:
                return answer


async def test_a_wait_that_cannot_be_kept_is_refused_and_taken_on_once_it_can(
    client: Client, worker: Worker, settings: Settings
) -> None:
    """Nobody works, requests pile up: the next caller is told so before its own wait is over."""
    patient = [asyncio.create_task(client.send(parcels_file(), prefer="wait=30")) for _ in range(3)]
    refused = await until_refused(client, "wait=1")
    assert (refused.status_code, problem(refused)) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert "predicted_wait" in (await client.http.get("/metrics")).text

    later = await client.send(parcels_file(), prefer="respond-async")
    assert later.status_code == 202
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    assert {(await task).status_code for task in patient} == {200}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.send(parcels_file(), prefer="wait=1")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_refusal_reads_nothing_of_the_file_and_asks_nobody(client: Client) -> None:
    patient = asyncio.create_task(client.send(parcels_file(), prefer="wait=30"))
    await until_refused(client, "wait=1")
    refused = await client.send(b"not even a file", prefer="wait=1")
    assert problem(refused) == "overloaded"
    patient.cancel()
    await asyncio.wait({patient})


async def test_files_whose_callers_do_not_wait_are_taken_on_beyond_a_full_house(
    worker: Worker, settings: Settings, tracing: TracerProvider
) -> None:
    release = asyncio.Event()

    async def wait(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        return labelled(request)

    async with serving(settings.model_copy(update={"max_in_flight": 1}), tracing) as client:
        await client.until_ready()
        await worker.start(settings.queue_prefix, wait)
        first = asyncio.create_task(client.send(parcels_file()))
        await until_seen(worker)
        assert (await client.send(parcels_file())).status_code == 503
        assert (await client.send(parcels_file(), prefer="respond-async")).status_code == 202
        release.set()
        assert (await first).status_code == 200


async def test_a_queue_that_is_full_takes_nothing_for_later(
    worker: Worker, settings: Settings, tracing: TracerProvider
) -> None:
    async with serving(settings.model_copy(update={"max_queued": 3}), tracing) as client:
        await client.until_ready()
        refused = await until_refused(client, "respond-async")
        assert (refused.status_code, problem(refused)) == (429, "too-many-requests")
        assert int(refused.headers["retry-after"]) >= 1
        await worker.start(settings.queue_prefix, reply_at_once)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await client.send(parcels_file(), prefer="respond-async")).status_code != 202:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_a_replica_whose_loop_is_late_takes_nothing_on_until_it_has_caught_up(
    client: Client, worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    monkeypatch.setattr(admission, "LATE_SECONDS", -1.0)
    for prefer in ("wait=1", "respond-async"):
        refused = await client.send(parcels_file(), prefer=prefer)
        assert (refused.status_code, problem(refused)) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
    assert (await client.send(parcels_file(), prefer="wait=30")).status_code == 200
    monkeypatch.setattr(admission, "LATE_SECONDS", 3600.0)
    assert (await client.send(parcels_file())).status_code == 200


async def test_a_refusal_names_the_prediction_and_the_callers_own_trace(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LATE_SECONDS", -1.0)
    identity, trace = str(uuid4()), f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
    refused = await client.send(
        parcels_file(), prefer="wait=1", prediction_id=identity, traceparent=trace
    )
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["prediction-id"] == refused.json()["prediction_id"] == identity
    assert refused.headers["traceparent"] == trace
    metrics = (await client.http.get("/metrics")).text
    assert f'carimbo_predictions_total{{model="{MODEL}",outcome="overloaded"}} 1.0' in metrics


async def test_only_files_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LATE_SECONDS", -1.0)
    for path in ("/v1/models", "/health/live", "/health/ready", "/metrics"):
        assert (await client.http.get(path)).status_code == 200, path
    assert (await client.http.get(f"/v1/models/{MODEL}/predictions")).status_code == 405


async def test_a_queue_that_is_away_is_told_at_once_to_those_who_wait_and_those_who_do_not(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    meter = client.producer.admission.meter(MODEL)
    meter.unread()
    meter.unread()
    for prefer in ("wait=30", "respond-async"):
        refused = await client.send(parcels_file(), prefer=prefer)
        assert (refused.status_code, problem(refused)) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.send(parcels_file())).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_while_it_leaves_a_replica_serves_on_and_asks_every_connection_to_close(
    client: Client, worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    before = await client.send(parcels_file())
    assert "connection" not in before.headers
    client.producer.stopping = True
    answer = await client.send(parcels_file())
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert (await client.http.get("/health/ready")).status_code == 503
    monkeypatch.setattr(admission, "LATE_SECONDS", -1.0)
    refused = await client.send(parcels_file(), prefer="wait=1")
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
