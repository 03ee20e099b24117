"""A worker within the test's own process, its registry, and a caller that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from client.local.children import stop
from client.local.readiness import wait_until_ready
from client.local.registry_server import RegistryServer
from common.aws import aws_client
from common.faststream_sqs import SQSBroker
from common.messages import Completed, Failed, PredictionRequest
from common.objects import ObjectStore
from common.sqs import sending_client
from common.topology import (
    dead_letter_queue,
    reply_queue_prefix,
    requests_queue,
    result_key,
)
from consumer import wiring
from consumer.settings import Settings
from consumer.wiring import Worker, worker
from tests.consumer.processes import WorkerProcess
from tests.consumer.registering import TestRegistry

PATIENCE_SECONDS = 30.0
Reply = Completed | Failed


@pytest.fixture(scope="session")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server, one for the whole session."""
    state = tmp_path_factory.mktemp("mlflow")
    server = RegistryServer(state, state / "mlflow.log")
    launched = server.launch()
    try:
        wait_until_ready([launched])
        yield server.url
    finally:
        stop([launched.child])


@pytest.fixture
def registry(registry_url: str) -> Iterator[TestRegistry]:
    """Writes to the MLflow server."""
    registry = TestRegistry(registry_url)
    yield registry
    registry.close()


@pytest.fixture
def family() -> str:
    """A family that no other test registers."""
    return f"parcels-{uuid4().hex[:8]}"


@pytest.fixture
def settings(
    family: str, registry_url: str, queue_prefix: str, aws_environment: dict[str, str]
) -> Settings:
    """A worker's settings, apart from every other test's."""
    assert aws_environment
    return Settings(
        models=(family,),
        queue_prefix=queue_prefix,
        bucket=f"{queue_prefix}bucket",
        tracking_uri=registry_url,
        visibility=timedelta(seconds=2),
        registry_refresh=timedelta(seconds=0.2),
    )


Running = Callable[[Settings], AbstractAsyncContextManager[Worker]]
Start = Callable[..., WorkerProcess]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Running:
    """Runs a worker in the test's process, its models loaded, its queues read."""
    monkeypatch.setattr(wiring, "POLL_SECONDS", 1)  # what a stop waits for

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[Worker]:
        async with worker(settings) as parts:
            await parts.store.ensure_bucket()
            following = asyncio.create_task(parts.aliases.follow(settings.registry_refresh))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await parts.aliases.complete.wait()
            await parts.broker.start()
            try:
                yield parts
            finally:
                following.cancel()
                await parts.broker.stop()

    return run


@dataclass
class Caller:
    """Asks as a producer does, and looks at what remains."""

    broker: SQSBroker
    store: ObjectStore
    sqs: Any
    family: str
    prefix: str
    engine_url: str

    async def ask(self, request: PredictionRequest, *, budget_ms: int = 30_000) -> Reply:
        """Send a request and wait for its reply."""
        reply = await self.broker.request(
            request,
            requests_queue(self.prefix, self.family),
            timeout=PATIENCE_SECONDS,
            headers={"budget_ms": str(budget_ms)},
            reply_type=Reply,
        )
        decoded: Reply = await reply.decode()
        return decoded

    async def send(self, request: PredictionRequest, **headers: str) -> None:
        """Send a request that no reply is awaited of."""
        queue = requests_queue(self.prefix, self.family)
        await self.broker.publish(request, queue, headers=headers)

    async def stored(self, prediction_id: str) -> Reply | None:
        """The stored result."""
        body = await self.store.get(result_key(prediction_id))  # type: ignore[arg-type]
        return None if body is None else msgspec.json.decode(body, type=Reply)

    async def when_stored(self, prediction_id: str) -> Reply:
        """The stored result, as soon as there is one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.stored(prediction_id)
                if found is not None:
                    return found
                await asyncio.sleep(0.05)

    async def waiting(self, queue: str | None = None) -> int:
        """Messages in a queue, in flight or not; the requests queue unless told."""
        name = queue or requests_queue(self.prefix, self.family)
        url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        answer = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return sum(
            int(answer["Attributes"][f"ApproximateNumberOfMessages{which}"])
            for which in ("", "NotVisible", "Delayed")
        )

    async def when_empty(self) -> None:
        """Return once the requests queue holds nothing: every request is settled."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if not await self.waiting():
                    return
                await asyncio.sleep(0.05)

    async def buried(self) -> int:
        """Messages in the dead-letter queue."""
        return await self.waiting(dead_letter_queue(self.prefix, self.family))

    async def bury_reason(self) -> dict[str, Any]:
        """The attributes of one buried message."""
        name = dead_letter_queue(self.prefix, self.family)
        url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        answer = await self.sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=5
        )
        headers: dict[str, Any] = msgspec.json.decode(
            answer["Messages"][0]["MessageAttributes"]["headers"]["StringValue"]
        )
        return headers


@pytest.fixture
async def caller(
    settings: Settings, family: str, aws_environment: dict[str, str]
) -> AsyncIterator[Caller]:
    """A caller with a reply queue of its own; it makes the queue that it sends to."""
    prefix = settings.queue_prefix
    broker = SQSBroker(reply_prefix=reply_queue_prefix(prefix), wait_seconds=1)
    async with (
        aws_client("s3", connections=4) as s3,
        sending_client(connections=4) as sqs,
    ):
        await broker.start()
        try:
            store = ObjectStore(s3, settings.bucket)
            yield Caller(broker, store, sqs, family, prefix, aws_environment["AWS_ENDPOINT_URL"])
        finally:
            await broker.stop()


@pytest.fixture
def start(settings: Settings, aws_environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts ready workers, and ends those that are left."""
    with ExitStack() as stack:

        def started(*, until_ready: bool = True, **environment: str) -> WorkerProcess:
            process = WorkerProcess(
                {
                    **aws_environment,
                    "CARIMBO_MODELS": ",".join(settings.models),
                    "CARIMBO_QUEUE_PREFIX": settings.queue_prefix,
                    "CARIMBO_BUCKET": settings.bucket,
                    "CARIMBO_VISIBILITY": "PT2S",
                    "CARIMBO_DRAIN": "PT20S",
                    "MLFLOW_TRACKING_URI": settings.tracking_uri,
                    **environment,
                },
                tmp_path / f"worker-{uuid4().hex[:6]}.log",
            )
            stack.callback(process.kill)
            if until_ready:
                process.wait_until_ready()
            else:
                process.wait_until_answering()
            return process

        yield started
