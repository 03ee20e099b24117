"""AWS clients: where every process gets its connections to SQS and S3.

Region, credentials and endpoint come from the standard AWS variables, which botocore reads
itself. Each role has a client, and so a connection pool, of its own: ten long polls on
botocore's default pool of ten once made a send wait eleven seconds. The operations that every file
needs go over a wire of our own (``common.aws_wire``) behind the same methods.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from common.aws_wire import LeanS3, LeanSqs, OnCall, open_wire

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_sqs.client import SQSClient

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3


@cache
def aws_session() -> AioSession:
    """Give the one session of the process: it holds loaded service models and credentials."""
    return AioSession()


@overload
def aws_client(
    service: Literal["sqs"],
    *,
    connections: int,
    read_timeout_seconds: float = ...,
    attempts: int = ...,
    on_call: OnCall = ...,
) -> AbstractAsyncContextManager[SQSClient]: ...
@overload
def aws_client(
    service: Literal["s3"],
    *,
    connections: int,
    read_timeout_seconds: float = ...,
    attempts: int = ...,
    on_call: OnCall = ...,
) -> AbstractAsyncContextManager[S3Client]: ...


@asynccontextmanager
async def aws_client(
    service: Literal["sqs", "s3"],
    *,
    connections: int,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    attempts: int = ATTEMPTS,
    on_call: OnCall = lambda _: None,
) -> AsyncIterator[Any]:
    """Open a client of ``service`` for one role; what it gives is an async context manager.

    ``connections`` bounds the calls in flight. ``read_timeout_seconds`` must exceed the longest
    answer (for a receive: the long poll). ``attempts`` counts the first call too. ``on_call`` is
    told the operation of every request sent, repeats included.
    """
    session = aws_session()
    async with (
        session.create_client(
            service, config=_config(connections, read_timeout_seconds, attempts)
        ) as client,
        open_wire(
            client,
            service=service,
            credentials=await session.get_credentials(),
            connections=connections,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=read_timeout_seconds,
            attempts=attempts,
            on_call=on_call,
        ) as wire,
    ):
        client.meta.events.register(
            f"request-created.{service}", lambda operation_name, **_: on_call(operation_name)
        )
        yield LeanSqs(client, wire) if service == "sqs" else LeanS3(client, wire)


def _config(connections: int, read_timeout_seconds: float, attempts: int) -> AioConfig:
    return AioConfig(
        max_pool_connections=connections,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # Our own types check the parameters; botocore's check costs up to 15 % of a call.
        parameter_validation=False,
        # An account id in the host name would change the address of a queue between clients.
        account_id_endpoint_mode="disabled",
        tcp_keepalive=True,
        # botocore composes its own anew for every call, which is a fifth of the call's CPU.
        user_agent="carimbo",
        s3={"addressing_style": _addressing_style()},
    )


def _addressing_style() -> str:
    """Buckets go in the path of a local engine, whose host name takes no prefix."""
    is_local = "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ
    return "path" if is_local else "auto"
