"""Servers that are called: one that remembers what it got, one that must never be reached."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Answers what the test wrote into ``script``, one entry a call, then ``status``."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.script: list[int] = []
        self.status = 204
        self.answer_headers: dict[str, str] = {}
        self.answer_body = b""
        self.held: asyncio.Event | None = None
        self.port = 0
        self._called = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    def hold(self) -> None:
        """Answer nobody until ``held`` is set."""
        self.held = asyncio.Event()

    async def when_called(self, times: int) -> None:
        """Return once so many calls came in."""
        async with asyncio.timeout(20), self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)

    @asynccontextmanager
    async def serving(
        self, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Self]:
        """Listen for as long as the block runs."""
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, address, 0, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            if self.held is not None:
                self.held.set()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        async with self._called:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.calls.append(Call(request.path_qs, headers, body))
            self._called.notify_all()
        if self.held is not None:
            await self.held.wait()
        status = self.script.pop(0) if self.script else self.status
        return web.Response(status=status, headers=self.answer_headers, body=self.answer_body)


class Sentinel:
    """Counts connections, which must stay at zero."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def listening(self, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Self]:
        """Listen for as long as the block runs."""

        async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            writer.close()

        server = await asyncio.start_server(count, address, port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
