"""SQS clients by role: receives apart from everything else, each with its own connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from common.aws import ATTEMPTS, READ_TIMEOUT_SECONDS, aws_client
from common.sqs.limits import LONG_POLL_SECONDS
from common.sqs.metrics import CALLS

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


@asynccontextmanager
async def receiving_client(
    *, connections: int, wait_seconds: int = LONG_POLL_SECONDS
) -> AsyncIterator[SQSClient]:
    """Open a client for long polls only; ``connections`` is the number of pumps on it.

    One attempt a receive: the pump itself backs off, and a repeat that it does not know of could
    leave a message with an answer that nobody read.
    """
    async with _counted(
        connections=connections,
        read_timeout_seconds=wait_seconds + READ_TIMEOUT_SECONDS,
        attempts=1,
    ) as client:
        yield client


@asynccontextmanager
async def sending_client(*, connections: int) -> AsyncIterator[SQSClient]:
    """Open a client for sends, deletes, visibility changes and the care of queues."""
    async with _counted(
        connections=connections, read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS
    ) as client:
        yield client


@asynccontextmanager
async def _counted(
    *, connections: int, read_timeout_seconds: float, attempts: int
) -> AsyncIterator[SQSClient]:
    async with aws_client(
        "sqs",
        connections=connections,
        read_timeout_seconds=read_timeout_seconds,
        attempts=attempts,
        on_call=lambda operation: CALLS.labels(operation).inc(),
    ) as client:
        yield client
