"""Files that arrive whether or not anybody keeps up: an open-loop load, in a process of its own.

    python -m benchmarks.arrivals < schedule.json

Real clients do not wait for one another, so neither do these: every arrival has its moment, drawn
at random beforehand, and its time counts from that moment even when it could not be sent then.
Speaks just enough HTTP over a bounded number of kept connections, so that the load costs the
machine a few per cent of what it measures.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

NO_ANSWER = 0
"""Stands for a status where the connection ended without an answer, or none was free."""
PATIENCE_SECONDS = 15.0

_STATUS = slice(9, 12)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """``rate`` files a second for ``seconds``, over at most ``sockets`` connections.

    ``urls`` and ``files`` (paths) are taken in turn. Every caller waits ``wait_seconds``.
    """

    urls: list[str]
    files: list[str]
    rate: float
    seconds: float
    sockets: int = 1024
    wait_seconds: int = 1
    seed: int = 7


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """One file: when it arrived (seconds from the start), and what it got after how long.

    ``late_ms`` is how late the load itself was, a part of ``milliseconds``.
    """

    at: float
    status: int
    milliseconds: float
    retry_after: int
    late_ms: float


class Report(msgspec.Struct, frozen=True):
    """``cpu_seconds`` is what the load itself has used."""

    arrivals: list[Arrival]
    cpu_seconds: float


def run(schedule: Schedule) -> Report:
    """Play a schedule in a process of its own, and wait for its end.

    Raises:
        RuntimeError: the process failed.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", __name__],
        input=msgspec.json.encode(schedule),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load failed: {done.stderr[-2000:].decode(errors='replace')}")
    return msgspec.json.decode(done.stdout, type=Report)


class _Connection(asyncio.Protocol):
    """One exchange at a time on a kept connection."""

    def __init__(self, idle: deque[_Connection]) -> None:
        self._idle = idle
        self._answer: asyncio.Future[bytes] | None = None
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        head, self._received = self._received[: end + 2], b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(head)
        self._answer = None
        if _CLOSES.search(head) is None:
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's shape
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(b"")

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Target:
    """One producer: its idle connections, and the requests to send it, ready to be written."""

    def __init__(self, url: str, contents: Sequence[bytes], wait_seconds: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.idle: deque[_Connection] = deque()
        self.requests = [
            b"POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/csv\r\nPrefer: wait=%d\r\n"
            b"traceparent: 00-%032x-%016x-00\r\nContent-Length: %d\r\n\r\n%s"
            % (
                *(parts.path.encode(), parts.netloc.encode(), wait_seconds),
                *(number + 1, number + 1, len(content), content),
            )
            for number, content in enumerate(contents)
        ]

    async def connection(self) -> _Connection:
        """A connection that is free, or a new one."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: _Connection(self.idle), self._host, self._port
        )
        return made


async def play(schedule: Schedule) -> list[Arrival]:
    """Send every file at its moment; what became of each, in order."""
    contents = [open(path, "rb").read() for path in schedule.files]  # noqa: ASYNC230, PTH123, SIM115
    targets = [_Target(url, contents, schedule.wait_seconds) for url in schedule.urls]
    free = schedule.sockets
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def one(number: int, at: float) -> Arrival:
        nonlocal free
        if free <= 0:
            return Arrival(at, NO_ANSWER, 0.0, 0, 0.0)
        free -= 1
        late_ms = (loop.time() - started - at) * 1000
        target = targets[number % len(targets)]
        head = b""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await target.connection()
                head = await connection.send(target.requests[number % len(contents)])
        except (OSError, TimeoutError):
            if connection is not None:
                connection.close()
        finally:
            free += 1
        elapsed_ms = (loop.time() - started - at) * 1000
        retry = _RETRY.search(head)
        status = int(head[_STATUS]) if head else NO_ANSWER
        return Arrival(at, status, elapsed_ms, int(retry[1]) if retry else 0, late_ms)

    under_way: list[asyncio.Task[Arrival]] = []
    for number, at in enumerate(_moments(schedule)):
        pause = started + at - loop.time()
        if pause > 0:
            await asyncio.sleep(pause)
        under_way.append(asyncio.create_task(one(number, at)))
    return [await task for task in under_way]


def _moments(schedule: Schedule) -> list[float]:
    """When files arrive: independently of one another (a Poisson process), always the same."""
    source = random.Random(schedule.seed)  # noqa: S311 - a load, not a secret
    moments: list[float] = []
    at = source.expovariate(schedule.rate)
    while at < schedule.seconds:
        moments.append(at)
        at += source.expovariate(schedule.rate)
    return moments


def main() -> None:
    """Play the schedule on standard input; the report goes to standard output."""
    import resource  # noqa: PLC0415 - only this process asks for its own use

    with suppress(OSError):
        os.nice(-10)  # what measures goes first, where it may: it needs little
    schedule = msgspec.json.decode(sys.stdin.buffer.read(), type=Schedule)
    arrivals = uvloop.run(play(schedule))
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = Report(arrivals, used.ru_utime + used.ru_stime)
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
