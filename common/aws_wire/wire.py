"""One service's endpoint: signed requests out, whole answers back, a few attempts each."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path

from common.aws_wire.signing import Credentials, Scope, signed_headers

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
IDLE_CONNECTION_SECONDS = 15.0
"""Shorter than the 20 s after which AWS's front ends close an idle connection."""

WRITTEN_AT_ONCE_BYTES = 256 * 1024

_SERVER_FAULT = 500
_TOO_MANY_REQUESTS = 429
_FIRST_ERROR_STATUS = 300

OnCall = Callable[[str], None]
"""Told the name of an operation for every request sent, repeats included."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_error(self) -> bool:
        """Whether the service did not do what was asked."""
        return self.status >= _FIRST_ERROR_STATUS

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the fault is the service's own, or of the moment."""
        return self.status >= _SERVER_FAULT or self.status == _TOO_MANY_REQUESTS


class Wire:
    """Requests to one endpoint, over a connection pool of its own."""

    def __init__(  # noqa: PLR0913 - keyword-only, one for each thing that differs by role
        self,
        session: aiohttp.ClientSession,
        *,
        endpoint: str,
        scope: Scope,
        credentials: Any,
        attempts: int,
        on_call: OnCall,
    ) -> None:
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._host = urlsplit(endpoint).netloc
        self._scope = scope
        self._credentials = credentials
        self._attempts = attempts
        self._on_call = on_call

    async def send(
        self, operation: str, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        """Send a request until it is answered by other than a fault of the service's own.

        The last answer is returned, whatever it says.

        Raises:
            aiohttp.ClientError, TimeoutError: no attempt was answered.
            NoCredentialsError: there are none to sign with.
        """
        attempt = 1
        while True:
            is_last = attempt == self._attempts
            try:
                answer = await self._once(operation, method, path, headers, body)
            except (aiohttp.ClientError, OSError):
                if is_last:
                    raise
            else:
                if is_last or not answer.is_worth_repeating:
                    return answer
            await asyncio.sleep(_pause_seconds(attempt))
            attempt += 1

    async def _once(
        self, operation: str, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        signed = signed_headers(
            method=method,
            path=path,
            headers={**headers, "host": self._host},
            body=body,
            scope=self._scope,
            credentials=await self._frozen_credentials(),
        )
        self._on_call(operation)
        # In pieces, when it is large: written in one go it would hold up the event loop.
        data = body if len(body) <= WRITTEN_AT_ONCE_BYTES else BytesIO(body)
        async with self._session.request(
            method, f"{self._endpoint}{path}", headers=signed, data=data, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def _frozen_credentials(self) -> Credentials:
        """The credentials of this moment: aiobotocore renews those that end."""
        if self._credentials is None:
            raise NoCredentialsError
        frozen = await self._credentials.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


@asynccontextmanager
async def open_wire(  # noqa: PLR0913 - one for each thing a role decides
    client: Any,
    *,
    service: str,
    credentials: Any,
    connections: int,
    connect_timeout_seconds: float,
    read_timeout_seconds: float,
    attempts: int,
    on_call: OnCall,
) -> AsyncIterator[Wire]:
    """Open a wire to where ``client`` (aiobotocore's) would go, with the same credentials."""
    endpoint = client.meta.endpoint_url
    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=IDLE_CONNECTION_SECONDS,
        ssl=_trust() if endpoint.startswith("https") else False,
    )
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=connect_timeout_seconds, sock_read=read_timeout_seconds
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers={"User-Agent": "carimbo"},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        yield Wire(
            session,
            endpoint=endpoint,
            scope=Scope(client.meta.region_name, service),
            credentials=credentials,
            attempts=attempts,
            on_call=on_call,
        )


def refusal(answer: Answer, operation: str, code: str) -> ClientError:
    """The error that aiobotocore would raise, so that callers need to know one kind only."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": ""},
            "ResponseMetadata": {"HTTPStatusCode": answer.status},  # type: ignore[typeddict-item]
        },
        operation,
    )


def _trust() -> ssl.SSLContext:
    """The certificate authorities that botocore trusts."""
    return ssl.create_default_context(
        cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(verify=True)
    )


def _pause_seconds(attempt: int) -> float:
    longest: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    share = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
    return longest * share
