"""The floor under the system: a bare two-queue echo over aiobotocore, without a model.

The echo worker is a process of its own, as the consumer is, so that both sides of a comparison
cross the same number of process boundaries and share the same engine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

WAIT_SECONDS = 5
RUN_SECONDS = 900


@asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    config = AioConfig(parameter_validation=False, max_pool_connections=10)
    async with get_session().create_client("sqs", config=config) as client:
        yield client


async def serve(requests_url: str) -> None:
    """Receive, reply, delete; one message at a time, as the plainest worker would."""
    deadline = time.monotonic() + RUN_SECONDS
    async with _client() as client:
        while time.monotonic() < deadline:
            answer = await client.receive_message(
                QueueUrl=requests_url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
            )
            for message in answer.get("Messages", ()):
                await client.send_message(
                    QueueUrl=message["MessageAttributes"]["reply_to"]["StringValue"],
                    MessageBody=message["Body"],
                )
                await client.delete_message(
                    QueueUrl=requests_url, ReceiptHandle=message["ReceiptHandle"]
                )


class Echo:
    """Two queues and a worker process; ``round_trip`` is what a caller waits for."""

    def __init__(self, sender: Any, receiver: Any, requests_url: str, replies_url: str) -> None:
        self._sender = sender
        self._receiver = receiver
        self._requests_url = requests_url
        self._replies_url = replies_url

    async def round_trip(self, body: str) -> float:
        """Milliseconds from sending ``body`` to having it back; the delete is not timed."""
        started = time.perf_counter()
        await self._sender.send_message(
            QueueUrl=self._requests_url,
            MessageBody=body,
            MessageAttributes={
                "reply_to": {"DataType": "String", "StringValue": self._replies_url},
            },
        )
        for _ in range(10):
            answer = await self._receiver.receive_message(
                QueueUrl=self._replies_url, MaxNumberOfMessages=1, WaitTimeSeconds=WAIT_SECONDS
            )
            if messages := answer.get("Messages"):
                elapsed = (time.perf_counter() - started) * 1000
                await self._sender.delete_message(
                    QueueUrl=self._replies_url, ReceiptHandle=messages[0]["ReceiptHandle"]
                )
                return elapsed
        raise RuntimeError("The echo worker did not answer; is the engine running?")


@asynccontextmanager
async def running_echo() -> AsyncIterator[Echo]:
    """Two fresh queues on the engine that AWS_ENDPOINT_URL names, and the worker on them."""
    name = f"echo-{uuid4().hex[:8]}"
    async with _client() as sender, _client() as receiver:
        requests_url = (await sender.create_queue(QueueName=f"{name}-requests"))["QueueUrl"]
        replies_url = (await sender.create_queue(QueueName=f"{name}-replies"))["QueueUrl"]
        worker = subprocess.Popen(  # noqa: S603, ASYNC220 - our own module, started once
            [sys.executable, "-m", "benchmarks.echo", requests_url], start_new_session=True
        )
        try:
            yield Echo(sender, receiver, requests_url, replies_url)
        finally:
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait(10)
            for url in (requests_url, replies_url):
                await sender.delete_queue(QueueUrl=url)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
