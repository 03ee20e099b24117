"""A TCP proxy before the engine, which all services go through: it cuts, loses, delays, listens.

It knows as much of HTTP as it takes to tell where a request ends, in order to copy the messages
that are sent to a requests queue: they are what is delivered a second time.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

CHUNK = 65_536
MOST_COPIED_BYTES = 262_144
COPIES_KEPT = 500
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_SEND = re.compile(rb"(?i)\r\nx-amz-target: *AmazonSQS\.SendMessageBatch\r")
_REFUSED = b"HTTP/1.1 412"
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Copy:
    """A message as it was sent."""

    queue_url: str
    entry: dict[str, Any]


class Proxy:
    """``copies`` holds some of the requests seen; the three faults are switched by whoever may."""

    def __init__(self, engine_port: int, draw: random.Random) -> None:
        self._engine_port = engine_port
        self._draw = draw
        self._open: set[asyncio.StreamWriter] = set()
        self.copies: deque[Copy] = deque(maxlen=COPIES_KEPT)
        self.lost_share = 0.0
        """Of the answers: the engine did what was asked, and nobody is told."""
        self.delay_seconds = 0.0
        self.is_refusing = False
        self.cut = 0
        self.lost = 0
        self.second_results = 0
        """Results that the store refused because the prediction had one."""
        self.port = 0

    @property
    def url(self) -> str:
        """Where the services find AWS."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        """Listen for as long as the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut_all()

    def heal(self) -> None:
        """End every fault."""
        self.lost_share = self.delay_seconds = 0.0
        self.is_refusing = False

    def cut_all(self) -> None:
        """Reset every connection, whatever is on its way on it."""
        for writer in list(self._open):
            self.cut += 1
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            self.cut += 1
            _reset(writer)
            return
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._engine_port)
        except OSError:
            _reset(writer)
            return
        self._open.add(writer)
        request = _Request()
        up = asyncio.create_task(self._up(reader, onward, request))
        down = asyncio.create_task(self._down(onward_reader, writer, request))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(writer)
            for task in (up, down):
                task.cancel()
            for end in (writer, onward):
                end.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, request: _Request
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.delay_seconds:
                    await asyncio.sleep(self._draw.uniform(0, self.delay_seconds))
                request.add(data)
                onward.write(data)
                await onward.drain()
                for copy in request.sent():
                    self.copies.append(copy)

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: _Request
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if data.startswith(_REFUSED) and request.writes_a_result():
                    self.second_results += 1
                request.answered()
                if self.lost_share and self._draw.random() < self.lost_share:
                    self.lost += 1
                    _reset(writer)
                    return
                writer.write(data)
                await writer.drain()


class _Request:
    """The request under way on one connection. Nobody here sends a second before the answer."""

    __slots__ = ("_content", "_is_answered", "_is_told")

    def __init__(self) -> None:
        self._content = bytearray()
        self._is_answered = False
        self._is_told = False

    def add(self, data: bytes) -> None:
        if self._is_answered:
            self._content.clear()
            self._is_answered = self._is_told = False
        if len(self._content) < MOST_COPIED_BYTES:
            self._content += data

    def answered(self) -> None:
        self._is_answered = True

    def writes_a_result(self) -> bool:
        return self._content.startswith(b"PUT ") and b"/results/" in self._content[:CHUNK]

    def sent(self) -> list[Copy]:
        """The messages of a whole request that sends predictions; told once."""
        head, found, body = bytes(self._content).partition(b"\r\n\r\n")
        if self._is_told or not found or _SEND.search(head + b"\r\n") is None:
            return []
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]) or b"-requests" not in body:
            return []
        self._is_told = True
        decoded = msgspec.json.decode(body)
        if not decoded["QueueUrl"].endswith("-requests"):  # a dead letter names that queue, too
            return []
        return [Copy(decoded["QueueUrl"], entry) for entry in decoded["Entries"]]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a farewell."""
    with suppress(OSError):
        found: socket.socket = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()
