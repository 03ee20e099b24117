"""AWS clients: where every process gets its connections to SQS and S3.

Region, credentials and endpoint come from the standard AWS variables, which botocore reads
itself. Each role has a client, and so a connection pool, of its own: ten long polls on
botocore's default pool of ten once made a send wait eleven seconds.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

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
) -> AbstractAsyncContextManager[SQSClient]: ...
@overload
def aws_client(
    service: Literal["s3"],
    *,
    connections: int,
    read_timeout_seconds: float = ...,
    attempts: int = ...,
) -> AbstractAsyncContextManager[S3Client]: ...


def aws_client(
    service: Literal["sqs", "s3"],
    *,
    connections: int,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    attempts: int = ATTEMPTS,
) -> AbstractAsyncContextManager[Any]:
    """Open a client of ``service`` for one role; what it gives is an async context manager.

    ``connections`` bounds the calls in flight. ``read_timeout_seconds`` must exceed the longest
    answer (for a receive: the long poll). ``attempts`` counts the first call too.
    """
    client: AbstractAsyncContextManager[Any] = aws_session().create_client(
        service,
        config=AioConfig(
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
        ),
    )
    return client


def _addressing_style() -> str:
    """Buckets go in the path of a local engine, whose host name takes no prefix."""
    is_local = "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ
    return "path" if is_local else "auto"
