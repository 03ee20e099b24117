"""Files of every size, on every path to their labels: one answer each, and nothing left behind.

    python -m benchmarks.sizes [DATA]

Starts a local system, and then, once for each limit that a message may have, a producer, a worker
and a deliverer of callbacks with queues and a bucket of their own. Every file goes five ways: its
caller waits, waits too short, asks for the result later, follows its events, or is called back.
One file is all months of real purchases, when DATA (../shared/data) has them. The digest is of the
answer without its prediction's id, which is all that may differ. At last the claimed rows are
swept, and every object of the bucket must belong to a prediction that was asked for. The exit
status is 1 when an answer differs, an object is left, or a file got no labels.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Self
from uuid import uuid4

import aiohttp
import msgspec
from aiohttp import web

from benchmarks.load import Upload, label
from benchmarks.process_cpu import group_resident_bytes, resident_bytes
from client.local.readiness import free_port
from client.local.services import (
    Service,
    callback_service,
    consumers,
    new_secret,
    producers,
)
from client.local.sink import TraceSink
from client.local.system import LocalSystem
from client.local.training import generate_samples, train
from client.settings import point_at_local_engine
from common.aws import aws_client
from common.claims import sweep_claims
from common.objects import ObjectStore
from common.sqs.limits import MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES
from common.topology import CLAIMS_PREFIX

MODEL = "purchase-cards"
DATA = Path("../shared/data")
MIB = 1024 * 1024
SIZES = {
    "200 KB": 200_000,
    "255 KB": 255_000,
    "300 KB": 300_000,
    "1 MiB - 1": MIB - 1,
    "1 MiB + 1": MIB + 1,
    "16 MB": 16_000_000,
    "50 MB": 50_000_000,
}
MANY_ROWS = 43_486
LARGE_BYTES = 16_000_000
LONGEST_SECONDS = 300.0
SMALL_A_SECOND = 5
QUIET_SECONDS = 20.0
AT_ONCE = 8
NO_GRACE = timedelta(seconds=-5)
"""The store stamps whole seconds, so that what was just written may look younger than nothing."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one file got on one path. ``status`` is the first; ``digest`` empty without labels."""

    size: str
    path: str
    prediction_id: str
    status: int
    seconds: float
    rows: int
    digest: str
    producer_bytes: int = 0
    readers_bytes: int = 0


@dataclass(slots=True)
class Part:
    """The services of one limit, and what was asked of them."""

    limit: int
    prefix: str
    bucket: str
    url: str
    producer_pid: int
    callbacks: Callbacks
    asked: list[str] = field(default_factory=list)

    @property
    def predictions(self) -> str:
        """Where files go."""
        return f"{self.url}/v1/models/{MODEL}/predictions"


class Callbacks:
    """A receiver that keeps what it is told, by the path it was told at."""

    def __init__(self) -> None:
        self.url = ""
        self._told: dict[str, asyncio.Future[bytes]] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Callbacks]:
        """Receive while the block runs."""
        app = web.Application(client_max_size=512 * MIB)
        app.router.add_post("/{name}", self._receive)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def expect(self, name: str) -> asyncio.Future[bytes]:
        """What will be told at ``/name``."""
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._told[name] = told
        return told

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        told = self._told.get(request.match_info["name"])
        if told is not None and not told.done():
            told.set_result(body)
        return web.Response(status=204)


class Peaks:
    """The most memory that a producer had, and its readers beside it, while the block ran."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.producer = 0
        self.readers = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        while True:
            own, group = resident_bytes(self._pid), group_resident_bytes(self._pid)
            self.producer = max(self.producer, own)
            self.readers = max(self.readers, group - own)
            await asyncio.sleep(0.1)


class _Counted(msgspec.Struct):
    rows_read: int
    labelled: int


class _Told(msgspec.Struct):
    """As much of an answer as is shown."""

    counts: _Counted


class _Event(msgspec.Struct):
    data: msgspec.Raw


Way = Callable[[aiohttp.ClientSession, Part, bytes, str], Awaitable[tuple[int, bytes]]]
"""Sends a file under an id; gives the first status, and the answer in the end."""


async def waits(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str
) -> tuple[int, bytes]:
    """Wait for the labels; should the wait run out, come back for them."""
    return await _waits(session, part, content, identity, seconds=60)


async def waits_too_short(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str
) -> tuple[int, bytes]:
    """Wait for less than a large file takes: it is answered all the same, later."""
    return await _waits(session, part, content, identity, seconds=1)


async def _waits(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str, *, seconds: int
) -> tuple[int, bytes]:
    status, body = await _post(session, part, content, identity, prefer=f"wait={seconds}")
    return status, body if status == 200 else await _fetched(session, part, identity)


async def fetches(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str
) -> tuple[int, bytes]:
    """Be told to come back, and come back."""
    status, _ = await _post(session, part, content, identity, prefer="respond-async")
    return status, await _fetched(session, part, identity)


async def follows(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str
) -> tuple[int, bytes]:
    """Be told to come back, and read the events."""
    status, _ = await _post(session, part, content, identity, prefer="respond-async")
    place = f"{part.url}/v1/predictions/{identity}"
    while True:
        async with session.get(place, headers={"Accept": "text/event-stream"}) as events:
            stream = await events.read()
        _, found, rest = stream.partition(b"event: result\nid: settled\ndata: ")
        if found:
            return status, rest.removesuffix(b"\n\n")


async def is_called(
    session: aiohttp.ClientSession, part: Part, content: bytes, identity: str
) -> tuple[int, bytes]:
    """Be told to come back, and be called instead."""
    told = part.callbacks.expect(identity)
    url = f"{part.callbacks.url}/{identity}"
    status, _ = await _post(session, part, content, identity, prefer="respond-async", callback=url)
    return status, bytes(msgspec.json.decode(await told, type=_Event).data)


PATHS: dict[str, Way] = {
    "wait": waits,
    "wait of 1 s": waits_too_short,
    "202, then GET": fetches,
    "events": follows,
    "callback": is_called,
}


async def _post(  # noqa: PLR0913 - by keyword
    session: aiohttp.ClientSession,
    part: Part,
    content: bytes,
    identity: str,
    *,
    prefer: str,
    callback: str | None = None,
) -> tuple[int, bytes]:
    headers = {"Content-Type": "text/csv", "Prediction-Id": identity, "Prefer": prefer}
    while True:
        part.asked.append(identity)
        async with session.post(
            part.predictions,
            data=content,
            headers=headers,
            params={"callback_url": callback} if callback else {},
        ) as answer:
            body = await answer.read()
            if answer.status in (429, 503):
                await asyncio.sleep(int(answer.headers.get("Retry-After", "1")))
                continue
            if answer.status not in (200, 202):
                raise RuntimeError(f"{answer.status}: {body[:500].decode(errors='replace')}")
            return answer.status, body


async def _fetched(session: aiohttp.ClientSession, part: Part, identity: str) -> bytes:
    while True:
        place = f"{part.url}/v1/predictions/{identity}"
        async with session.get(place, headers={"Prefer": "wait=30"}) as answer:
            body = await answer.read()
            if answer.status == 200:
                return body
            if answer.status != 202:
                raise RuntimeError(f"{answer.status}: {body[:500].decode(errors='replace')}")


async def send(
    session: aiohttp.ClientSession, part: Part, name: str, content: bytes, path: str
) -> Answered:
    """Send a file one way, and look at what comes back."""
    identity = str(uuid4())
    async with Peaks(part.producer_pid) as peaks:
        started = time.perf_counter()
        async with asyncio.timeout(LONGEST_SECONDS):
            status, body = await PATHS[path](session, part, content, identity)
        seconds = time.perf_counter() - started
    counts = msgspec.json.decode(body, type=_Told).counts
    anonymous = body.replace(identity.encode(), b"")
    return Answered(
        size=name,
        path=path,
        prediction_id=identity,
        status=status,
        seconds=seconds,
        rows=counts.rows_read,
        digest=hashlib.sha256(anonymous).hexdigest() if counts.labelled else "",
        producer_bytes=peaks.producer,
        readers_bytes=peaks.readers,
    )


@asynccontextmanager
async def small_files(
    session: aiohttp.ClientSession, part: Part, content: bytes
) -> AsyncIterator[list[float]]:
    """Send a small file at a steady pace while the block runs; gives their milliseconds."""
    took: list[float] = []

    async def one() -> None:
        answer = await label(session, Upload(part.predictions, content, 60))
        part.asked.append(answer.prediction_id)
        took.append(answer.elapsed_ms if answer.status == 200 else float("inf"))

    async def keep_sending() -> None:
        async with asyncio.TaskGroup() as sending:
            while not done.is_set():
                sending.create_task(one())
                await asyncio.sleep(1 / SMALL_A_SECOND)

    done = asyncio.Event()
    task = asyncio.create_task(keep_sending())
    try:
        yield took
    finally:
        done.set()
        await task


@dataclass(frozen=True, slots=True)
class Measured:
    """One limit's figures. ``small_ms`` are those of small files: alone, beside large ones."""

    limit: int
    answers: Sequence[Answered]
    quiet_ms: Sequence[float]
    busy_ms: Sequence[float]
    claims: int
    unaccounted: Sequence[str]


async def measure(part: Part, files: dict[str, bytes], small: bytes) -> Measured:
    """Every file on every path, the large ones with small ones beside; then the bucket."""
    answers: list[Answered] = []
    timeout = aiohttp.ClientTimeout(total=LONGEST_SECONDS)
    async with part.callbacks.listening(), aiohttp.ClientSession(timeout=timeout) as session:

        async def each(names: Sequence[str]) -> None:
            for name in names:
                for path in PATHS:
                    answers.append(await send(session, part, name, files[name], path))
                    _show(answers[-1])

        await each([name for name in files if len(files[name]) < LARGE_BYTES])
        async with small_files(session, part, small) as quiet_ms:
            await asyncio.sleep(QUIET_SECONDS)
        large = [name for name in files if len(files[name]) >= LARGE_BYTES]
        async with small_files(session, part, small) as busy_ms:
            await each(large)
        if part.limit == MESSAGE_LIMIT_BYTES:
            both = ["202, then GET"] * AT_ONCE
            name = large[-1]
            together = [send(session, part, name, files[name], path) for path in both]
            answers.extend(await asyncio.gather(*together))
            _show(max(answers[-AT_ONCE:], key=lambda answer: answer.seconds), times=AT_ONCE)
    claims, unaccounted = await _left_over(part)
    return Measured(part.limit, answers, quiet_ms, busy_ms, claims, unaccounted)


async def _left_over(part: Part) -> tuple[int, Sequence[str]]:
    """How many claimed objects were swept; the objects then that belong to nobody who asked."""
    async with aws_client("s3", connections=4) as s3:
        store = ObjectStore(s3, part.bucket)
        swept = await sweep_claims(store, NO_GRACE)
        asked = set(part.asked)
        found = [stat.key async for stat in store.walk("")]
        uploads = await s3.list_multipart_uploads(Bucket=part.bucket)
    unfinished = [upload["Key"] for upload in uploads.get("Uploads", ())]
    return swept, unfinished + [
        key for key in found if key.startswith(CLAIMS_PREFIX) or not asked & set(_names(key))
    ]


def _names(key: str) -> Sequence[str]:
    return [part.removesuffix(".json") for part in key.split("/")]


def _show(answer: Answered, times: int = 1) -> None:
    name = answer.size if times == 1 else f"{times} x {answer.size}"
    print(
        f"{name:12} {answer.rows:8} {answer.path:14} {answer.status:6} {answer.seconds:8.2f} "
        f"{answer.producer_bytes / MIB:9.0f} {answer.readers_bytes / MIB:9.0f}  "
        f"{answer.digest[:12] or 'no row labelled'}",
        flush=True,
    )


def show(measured: Measured) -> bool:
    """Print what was found of one limit; whether it is as it should be."""
    digests: dict[str, set[str]] = {}
    for answer in measured.answers:
        digests.setdefault(answer.size, set()).add(answer.digest)
    different = [size for size, found in digests.items() if len(found) != 1 or "" in found]
    print(f"\nmessages of at most {measured.limit} bytes")
    print(f"  files with one answer on every path: {len(digests) - len(different)}/{len(digests)}")
    for name, took in (("alone", measured.quiet_ms), ("beside large", measured.busy_ms)):
        ordered = sorted(took)
        p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        print(f"  small files {name:13} p50 {p50:6.0f} ms  p99 {p99:6.0f} ms  of {len(ordered)}")
    print(f"  claimed objects swept: {measured.claims}")
    print(f"  objects left unaccounted: {len(measured.unaccounted)}")
    for key in measured.unaccounted[:10]:
        print(f"    {key}")
    return not (different or measured.unaccounted)


def file_of(size: int, rows: Sequence[bytes]) -> bytes:
    """Exactly ``size`` bytes: a header, rows again and again, and empty lines."""
    lines: list[bytes] = []
    length = 0
    for line in cycle_of(rows):
        length += len(line)
        if length > size:
            break
        lines.append(line)
    return b"".join(lines).ljust(size, b"\n")


def cycle_of(rows: Sequence[bytes]) -> Iterator[bytes]:
    """The header, and then the rows again and again."""
    header, *others = rows
    return chain([header], cycle(others))


def real_purchases(data: Path) -> list[bytes]:
    """The rows of every real month under one header, that of the last; nothing without the data.

    The months differ in their columns: a cell that a month does not have is empty.
    """
    written = StringIO(newline="")
    writer: csv.DictWriter[str] | None = None
    for month in sorted((data / MODEL).glob("*.csv"), reverse=True):
        with month.open(encoding="cp1252", newline="") as file:
            lines = csv.reader(file, delimiter=";")
            names = [name.strip() for name in next(lines)]
            if writer is None:
                writer = csv.DictWriter(written, names, delimiter=";")
                writer.writeheader()
            writer.writerows(dict(zip(names, cells, strict=False)) for cells in lines)
    return written.getvalue().encode("cp1252").splitlines(keepends=True)


@asynccontextmanager
async def started(system: LocalSystem, limit: int) -> AsyncIterator[Part]:
    """The services of one limit, with queues and a bucket of their own, until the block ends."""
    prefix = f"s{uuid4().hex[:8]}-"
    bucket = f"{prefix}results"
    settings = {
        "CARIMBO_QUEUE_PREFIX": prefix,
        "CARIMBO_BUCKET": bucket,
        "CARIMBO_MESSAGE_LIMIT_BYTES": str(limit),
    }
    kinds = (
        *producers(1, free_port()),
        *consumers(1, [MODEL]),
        callback_service(new_secret()),
    )
    services = [
        Service(
            name=f"{each.name} {limit}",
            module=each.module,
            port=each.port,
            settings={**each.settings, **settings},
        )
        for each in kinds
    ]
    await asyncio.to_thread(system.start_services, services)
    url, pid = f"http://127.0.0.1:{services[0].port}", system.pid_of(services[0])
    yield Part(limit, prefix, bucket, url, pid, Callbacks())


async def measure_all(
    system: LocalSystem, files: dict[str, bytes], small: bytes
) -> Sequence[Measured]:
    """Both limits, one after the other."""
    found: list[Measured] = []
    for limit in (MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES):
        async with started(system, limit) as part:
            print(
                f"\nmessages of at most {limit} bytes; memory in MiB\n{'file':12} {'rows':>8} "
                f"{'path':14} {'status':>6} {'seconds':>8} {'producer':>9} {'readers':>9}  answer",
                flush=True,
            )
            found.append(await measure(part, files, small))
    return found


def main() -> int:
    """Run it all; the exit status says whether every file had one answer and nothing was left."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    with tempfile.TemporaryDirectory(prefix="carimbo-sizes-") as folder, TraceSink() as sink:
        state = Path(folder)
        system = LocalSystem(state, traces=sink.url, say=lambda text: print(text, flush=True))
        try:
            system.start_foundations()
            point_at_local_engine(system.surroundings.engine)
            samples = state / "samples"
            system.run_task(generate_samples([MODEL], samples, system.surroundings))
            system.run_task(train([MODEL], samples, system.surroundings))
            [small, *_] = [path.read_bytes() for path in sorted(samples.rglob("*.csv"))]
            rows = small.splitlines(keepends=True)
            files = {name: file_of(size, rows) for name, size in SIZES.items()}
            files["43,486 rows"] = b"".join(islice(cycle_of(rows), 1 + MANY_ROWS))
            real = real_purchases(data)
            if real:
                files["real"] = b"".join(real)
            else:
                print(f"no real purchases in {data}: they are left out")
            measured = asyncio.run(measure_all(system, files, small))
        finally:
            system.stop()
    return 0 if not [each for each in measured if not show(each)] else 1


if __name__ == "__main__":
    sys.exit(main())
