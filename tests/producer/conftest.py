"""A whole producer on the real engine, with a registry over HTTP and a worker that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.aws import aws_client
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.opentelemetry import SQSTelemetryMiddleware
from common.objects import ObjectStore
from producer import admission
from producer.settings import Settings
from producer.wiring import Producer, running_producer
from tests.producer.parts import MODEL, RegistryServer, Worker

PATIENCE_SECONDS = 30.0


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    with server.running():
        yield server


@pytest.fixture
def settings(
    aws_environment: dict[str, str],
    queue_prefix: str,
    registry: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    assert aws_environment
    # Tests share the machine, so their loops may be late at any moment; only some are about that.
    monkeypatch.setattr(admission, "LATE_SECONDS", 3600.0)
    return Settings(
        queue_prefix=queue_prefix,
        bucket=f"{queue_prefix}results",
        tracking_uri=registry.url,
        max_upload_bytes=200_000,
        registry_refresh=timedelta(seconds=0.2),
    )


class Client:
    """An HTTP client of one producer."""

    def __init__(self, producer: Producer, http: httpx.AsyncClient) -> None:
        self.producer = producer
        self.http = http

    async def send(self, content: bytes, query: str = "", **headers: str) -> httpx.Response:
        """Send a file as the raw body; header names with dashes for underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/v1/models/{MODEL}/predictions{query}"
        return await self.http.post(path, content=content, headers=named)

    async def until_ready(self) -> None:
        """Wait until the producer says that it can serve."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.http.get("/health/ready")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(settings: Settings, tracing: TracerProvider) -> AsyncIterator[Client]:
    """A producer and its client; not ready yet."""
    async with running_producer(settings, tracing) as producer:
        transport = httpx.ASGITransport(producer.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://producer", timeout=90
        ) as http:
            yield Client(producer, http)


@pytest.fixture
async def client(settings: Settings, tracing: TracerProvider) -> AsyncIterator[Client]:
    async with serving(settings, tracing) as found:
        await found.until_ready()
        yield found


@pytest.fixture
async def worker(settings: Settings, tracing: TracerProvider) -> AsyncIterator[Worker]:
    """Not started: the test says what it does."""
    middlewares = [SQSTelemetryMiddleware(tracer_provider=tracing)]
    broker = SQSBroker(wait_seconds=1, middlewares=middlewares)
    async with aws_client("s3", connections=4) as s3:
        yield Worker(broker, ObjectStore(s3, settings.bucket))
        await broker.stop()
