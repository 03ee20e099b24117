"""Clients and queues on the real engine, and an SQS that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from common.sqs import ensure_queue, receiving_client, sending_client

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


@pytest.fixture
async def sqs(aws_environment: dict[str, str]) -> AsyncIterator[SQSClient]:
    """A client for everything but receives."""
    assert aws_environment
    async with sending_client(connections=20) as client:
        yield client


@pytest.fixture
async def receiver(aws_environment: dict[str, str]) -> AsyncIterator[SQSClient]:
    """A client for receives."""
    assert aws_environment
    async with receiving_client(connections=4, wait_seconds=2) as client:
        yield client


@pytest.fixture
async def queue_url(sqs: SQSClient, queue_prefix: str) -> str:
    """A queue of the test's own, whose messages stay hidden for 30 s."""
    return await ensure_queue(sqs, f"{queue_prefix}requests", visibility_seconds=30)


class ScriptedSqs:
    """Speaks SQS's protocol and says what the test wrote: faults that an engine never shows."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str, dict[str, Any]], Awaitable[web.Response]] = self.succeed

    async def handle(self, request: web.BaseRequest) -> web.Response:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        content = await request.json()
        self.calls.append((operation, content))
        return await self.answer(operation, content)

    async def succeed(self, operation: str, content: dict[str, Any]) -> web.Response:
        assert operation
        entries = content.get("Entries", [])
        return self.entries(done=[entry["Id"] for entry in entries])

    def entries(
        self, *, done: Sequence[str] = (), failed: Sequence[dict[str, Any]] = ()
    ) -> web.Response:
        successful = [{"Id": entry_id, "MessageId": f"m{entry_id}"} for entry_id in done]
        return self.json({"Successful": successful, "Failed": list(failed)})

    def json(self, content: dict[str, Any], status: int = 200) -> web.Response:
        return web.Response(
            text=json.dumps(content), status=status, content_type="application/x-amz-json-1.0"
        )


@pytest.fixture
async def scripted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedSqs]:
    """The scripted SQS on a loopback socket, and the environment that points to it."""
    script = ScriptedSqs()
    server = web.Server(script.handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield script
    await runner.cleanup()


@pytest.fixture
async def scripted_client(scripted: ScriptedSqs) -> AsyncIterator[SQSClient]:
    """A sending client of the scripted SQS."""
    assert not scripted.calls
    async with sending_client(connections=20) as client:
        yield client


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds, for ten seconds at most."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - it watches counters and the engine
                await asyncio.sleep(0.01)

    return wait
