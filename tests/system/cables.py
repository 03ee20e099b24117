"""What stands between a service and what it needs, and can be pulled out.

A ``Cable`` carries bytes until it is cut (new connections refused, open ones reset) or blocked
(everything accepted, nothing carried). A ``Drain`` is an SQS that swallows certain messages.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import msgspec
from aiohttp import web

T = TypeVar("T")
CHUNK_BYTES = 65_536
PATIENCE_SECONDS = 30


class _Loop:
    """An event loop in a thread, so that a test may block while it carries."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def stop(self) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Cable:
    """A TCP line to ``target`` that can be cut, blocked and mended. ``url`` is its near end."""

    def __init__(self, loop: _Loop, target: str) -> None:
        parts = urlsplit(target)
        self._loop = loop
        self._far = (parts.hostname or "", parts.port or 80)
        self._carries = asyncio.Event()
        self._carries.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._loop.run(self._listen())

    @property
    def url(self) -> str:
        """Its near end."""
        return f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._loop.run(self._cut())

    def block(self) -> None:
        """Go on accepting, and carry nothing: the far end seems to think for ever."""
        self._loop.run(self._set(carries=False))

    def mend(self) -> None:
        """Carry again."""
        self._loop.run(self._mend())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _mend(self) -> None:
        await self._set(carries=True)
        if self._server is None:
            await self._listen()

    async def _set(self, *, carries: bool) -> None:
        (self._carries.set if carries else self._carries.clear)()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._far)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._writers |= pair
        ways = {
            asyncio.ensure_future(self._carry(reader, far_writer)),
            asyncio.ensure_future(self._carry(far_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            for way in ways:
                way.cancel()
            for end in pair:
                end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._carries.wait()
                writer.write(chunk)
                await writer.drain()


@contextmanager
def cables(*targets: str) -> Iterator[list[Cable]]:
    """One cable to each target."""
    loop = _Loop()
    made = [Cable(loop, target) for target in targets]
    try:
        yield made
    finally:
        for cable in made:
            cable.cut()
        loop.stop()


@contextmanager
def draining(engine: str, is_swallowed: Callable[[str], bool]) -> Iterator[tuple[str, list[str]]]:
    """An SQS before ``engine`` that keeps messages to certain queues to itself.

    Gives its address, and the bodies of what it swallowed: their sender believes them sent.
    """
    swallowed: list[str] = []
    loop = _Loop()

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("X-Amz-Target", "").endswith(".SendMessageBatch"):
            batch = msgspec.json.decode(body)
            if is_swallowed(batch["QueueUrl"]):
                swallowed.extend(entry["MessageBody"] for entry in batch["Entries"])
                return web.json_response(_all_sent(batch["Entries"]))
        async with session.request(
            request.method, f"{engine}{request.path_qs}", data=body, headers=_kept(request.headers)
        ) as found:
            return web.Response(
                status=found.status, body=await found.read(), headers=_kept(found.headers)
            )

    async def start() -> tuple[aiohttp.ClientSession, web.AppRunner, int]:
        opened = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return opened, runner, runner.addresses[0][1]

    session, runner, port = loop.run(start())
    try:
        yield f"http://127.0.0.1:{port}", swallowed
    finally:
        loop.run(session.close())
        loop.run(runner.cleanup())
        loop.stop()


def _all_sent(entries: list[dict[str, Any]]) -> dict[str, Any]:
    sent = [{"Id": entry["Id"], "MessageId": str(uuid4())} for entry in entries]
    return {"Successful": sent, "Failed": []}


def _kept(headers: Any) -> dict[str, str]:
    """Headers without those that belong to one connection or one encoding of the body."""
    dropped = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}
    return {name: text for name, text in headers.items() if name.lower() not in dropped}
