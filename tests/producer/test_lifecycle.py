from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from client.local.engine import Engine, free_port
from common.messages import PredictionReply, PredictionRequest
from common.sqs import sending_client
from common.topology import dead_letter_queue, reply_queue_prefix, requests_queue
from producer.settings import Settings
from tests.producer.conftest import PATIENCE_SECONDS, serving
from tests.producer.parts import (
    MODEL,
    RegistryServer,
    Worker,
    labelled,
    parcels_file,
    reply_at_once,
)

Process = subprocess.Popen[bytes]


async def queue_names(prefix: str) -> list[str]:
    async with sending_client(connections=1) as sqs:
        urls = (await sqs.list_queues(QueueNamePrefix=prefix)).get("QueueUrls", [])
    return sorted(url.rpartition("/")[2] for url in urls)


async def test_a_start_makes_the_queues_and_a_stop_deletes_only_its_reply_queue(
    settings: Settings, tracing: TracerProvider
) -> None:
    prefix = settings.queue_prefix
    kept = sorted([requests_queue(prefix, MODEL), dead_letter_queue(prefix, MODEL)])
    async with serving(settings, tracing) as client:
        await client.until_ready()
        names = await queue_names(prefix)
        assert [name for name in names if not name.startswith(reply_queue_prefix(prefix))] == kept
        assert len(names) == 3
    assert await queue_names(prefix) == kept


async def test_queues_that_workers_made_keep_their_settings(
    settings: Settings, tracing: TracerProvider
) -> None:
    name = requests_queue(settings.queue_prefix, MODEL)
    async with sending_client(connections=1) as sqs:
        url = (await sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"}))[
            "QueueUrl"
        ]
        async with serving(settings, tracing) as client:
            await client.until_ready()
        found = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert found["Attributes"]["VisibilityTimeout"] == "7"


async def test_a_registry_that_comes_late_is_waited_for_and_one_that_leaves_is_remembered(
    settings: Settings, tracing: TracerProvider, worker: Worker
) -> None:
    late = RegistryServer()
    async with serving(settings.model_copy(update={"tracking_uri": late.url}), tracing) as client:
        ready = await client.http.get("/health/ready")
        assert ready.status_code == 503
        with late.running():
            await client.until_ready()
            await worker.start(settings.queue_prefix, reply_at_once)
        assert (await client.send(parcels_file())).status_code == 200
        assert (await client.http.get("/health/ready")).status_code == 200


async def test_an_alias_is_followed_within_a_refresh_and_each_contract_is_read_once(
    settings: Settings, tracing: TracerProvider, worker: Worker
) -> None:
    moving = RegistryServer()
    with moving.running():
        changed = settings.model_copy(update={"tracking_uri": moving.url})
        async with serving(changed, tracing) as client:
            await client.until_ready()
            await worker.start(settings.queue_prefix, reply_at_once)
            moving.contracts["2"] = moving.contracts["1"].replace("mass", "heft")
            moving.aliases["champion"] = "2"
            renamed = parcels_file().replace(b"weight", b"heft")
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await client.send(renamed)).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert (await client.send(renamed, "?version=1")).status_code == 422
            assert (await client.send(renamed, "?version=2")).status_code == 200
    assert sum(path.endswith("/contract.yaml") for path in moving.requests) == 2


async def test_a_version_whose_contract_is_not_the_registered_one_is_left_out(
    settings: Settings, tracing: TracerProvider, registry: RegistryServer
) -> None:
    genuine = registry.answer

    def forged(path: str) -> bytes | None:
        answer = genuine(path)
        is_contract = answer is not None and path.endswith("contract.yaml")
        return answer.replace(b"mass", b"heft") if is_contract and answer else answer

    registry.answer = forged  # type: ignore[method-assign]  # the registry's own content lies
    async with serving(settings, tracing) as client:
        await client.until_ready()
        answer = await client.send(parcels_file())
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-version")


async def test_an_engine_that_vanishes_makes_the_replica_unready_and_its_return_ready(
    registry: RegistryServer,
    tracing: TracerProvider,
    queue_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(tmp_path, free_port())
    for name, value in {
        "AWS_ENDPOINT_URL": engine.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings(queue_prefix=queue_prefix, tracking_uri=registry.url)
    await asyncio.to_thread(engine.start)
    try:
        async with serving(settings, tracing) as client:
            await client.until_ready()
            os.killpg(engine.pid, signal.SIGSTOP)
            try:
                checks = (await client.http.get("/health/ready")).json()["checks"]
                assert checks["queues"] != "ok"
                assert (await client.http.get("/health/live")).status_code == 200
            finally:
                os.killpg(engine.pid, signal.SIGCONT)
            await client.until_ready()
    finally:
        await asyncio.to_thread(engine.stop)


@contextmanager
def producer_process(settings: Settings, log: Path, **more: str) -> Iterator[tuple[str, Process]]:
    """``python -m producer``, ready, in a process group of its own."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH"))},
        "CARIMBO_PORT": str(port),
        "CARIMBO_QUEUE_PREFIX": settings.queue_prefix,
        "CARIMBO_BUCKET": settings.bucket,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        **more,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "producer"],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


async def until_serving(http: httpx.AsyncClient, process: Process, log: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.poll() is None, f"the producer ended: see {log}"
            try:
                if (await http.get("/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_sigterm_answers_what_is_in_flight_then_exits_with_0_and_no_reply_queue(
    settings: Settings, worker: Worker, tmp_path: Path
) -> None:
    log = tmp_path / "producer.log"
    release = asyncio.Event()

    async def wait(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        return labelled(request)

    with producer_process(settings, log, CARIMBO_LOG_LEVEL="DEBUG") as (url, process):
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            await until_serving(http, process, log)
            await worker.start(settings.queue_prefix, wait)
            canary = parcels_file(
                "2026-01-02,1.50,canarycarrier,CanaryName", "2026-01-03,canary,a,b"
            )
            sending = asyncio.create_task(
                http.post(f"/v1/models/{MODEL}/predictions", content=canary)
            )
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not worker.seen:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            release.set()
            answer = await sending
        assert answer.status_code == 200
        assert await asyncio.to_thread(process.wait, 30) == 0
    said = log.read_text()
    assert not [n for n in await queue_names(settings.queue_prefix) if "replies" in n]
    assert answer.headers["prediction-id"] in said
    assert answer.headers["traceparent"].split("-")[1] in said
    assert "canary" not in said.lower()


def test_a_port_in_use_is_a_clear_line_and_no_traceback(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "producer.log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with producer_process(settings, log, CARIMBO_PORT=port) as (_, process):
            assert process.wait(30) == 1
    said = log.read_text()
    assert port in said
    assert "Traceback" not in said


def test_an_unusable_setting_is_named_and_no_traceback_is_shown(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "producer.log"
    with producer_process(settings, log, CARIMBO_MAX_IN_FLIGHT="many") as (_, process):
        assert process.wait(30) == 2
    said = log.read_text()
    assert "MAX_IN_FLIGHT" in said
    assert "Traceback" not in said
