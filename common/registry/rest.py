"""MLflow's REST interface: a deadline on requests, a bound on answers, our two kinds of error."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from common.errors import PermanentError, TransientError
from common.registry import wire

Answer = TypeVar("Answer")

API = "/api/2.0/mlflow"
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)
LARGEST_FILE_BYTES = 256 * 1024 * 1024
PAGE = 100
PAGES_AT_MOST = 100
RETRY_SECONDS = 2.0
BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
UNKNOWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""How MLflow says that a model, a version or an alias is not there."""


class Rest:
    """One MLflow server.

    Args:
        tracking_uri: the server's address, ``http://`` or ``https://``.

    Every request raises TransientError(code="registry-unavailable") while the server cannot be
    reached or fails, PermanentError(code="registry-refused") for an answer nobody expected, and
    what it was given as ``missing`` when the server does not know what was asked for.
    """

    def __init__(self, tracking_uri: str) -> None:
        if not tracking_uri.startswith(("http://", "https://")):
            raise PermanentError(
                "bad-tracking-uri",
                f"The registry is read over HTTP, but its address is {tracking_uri!r}. "
                "Set MLFLOW_TRACKING_URI to an MLflow server, such as http://127.0.0.1:5000.",
            )
        self._base = tracking_uri.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=REQUEST_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        kind: type[Answer],
        missing: PermanentError | None = None,
    ) -> Answer:
        """What the server answers to a question."""
        body = await self.content(API + path, query, missing=missing)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise PermanentError(
                "registry-refused",
                f"The registry's answer to {path} is not MLflow's: {error}. "
                "Check that MLFLOW_TRACKING_URI is an MLflow server's address.",
            ) from error

    async def pages(self, path: str, kind: type[Answer]) -> list[Answer]:
        """Every page of a search."""
        pages: list[Answer] = []
        token = ""
        for _ in range(PAGES_AT_MOST):
            query = {"max_results": str(PAGE)} | ({"page_token": token} if token else {})
            pages.append(await self.get(path, query, kind))
            token = getattr(pages[-1], "next_page_token", "")
            if not token:
                break
        return pages

    async def write(
        self, method: str, path: str, body: Mapping[str, str], missing: PermanentError
    ) -> None:
        """Have the server change something; ``method`` is POST or DELETE."""
        await self._send(method, API + path, missing, json=dict(body))

    async def content(
        self, path: str, query: Mapping[str, str], *, missing: PermanentError | None
    ) -> bytes:
        """The bytes at a path of the server."""
        return await self._send("GET", path, missing, query=dict(query))

    async def _send(
        self,
        method: str,
        path: str,
        missing: PermanentError | None,
        *,
        query: dict[str, str] | None = None,
        json: dict[str, str] | None = None,
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("The registry is not open; use it in an 'async with'.")
        try:
            async with self._session.request(
                method, self._base + path, params=query, json=json
            ) as response:
                body = await _bounded(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable(f"did not answer {path}: {type(error).__name__}") from error
        if response.ok:
            return body
        raise _refusal(response.status, body, path, missing)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > LARGEST_FILE_BYTES:
            raise PermanentError(
                "registry-refused",
                f"The registry sent more than {LARGEST_FILE_BYTES} bytes for one file. "
                "Register a smaller model.",
            )
    return bytes(chunks)


def _refusal(
    status: int, body: bytes, path: str, missing: PermanentError | None
) -> PermanentError | TransientError:
    try:
        said = msgspec.json.decode(body, type=wire.Refusal)
    except msgspec.DecodeError:
        said = wire.Refusal()
    if status == HTTPStatus.NOT_FOUND or said.error_code in UNKNOWN:
        return missing or PermanentError(
            "registry-refused",
            f"The registry knows no {path}: {said.message}. "
            "Check that MLFLOW_TRACKING_URI is an MLflow server's address.",
        )
    if status in BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(f"answered {path} with HTTP {status}")
    return PermanentError(
        "registry-refused", f"The registry refused {path} with HTTP {status}: {said.message}"
    )


def _unavailable(what: str) -> TransientError:
    return TransientError(
        "registry-unavailable",
        f"The registry {what}. Check that the MLflow server is up.",
        delay_seconds=RETRY_SECONDS,
    )
