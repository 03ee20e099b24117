"""From an uploaded file to the request that goes to a worker: read, validate, encode.

All of it is computing. A small file is read on the event loop, where it takes less than the
hand-over to a thread and back would cost the others; a larger one in one of few threads; a large
one, which would keep the interpreter from everybody else, in a process of its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import IO, Any

import msgspec

from common.contracts import recipe_columns
from common.messages import PredictionId, PredictionRequest
from common.tables import DEFAULT_LIMITS, Limits, Table, UnreadableFile, read_table
from common.tables.unpack import GZIP_MAGIC
from producer.catalogue import Selector, Served
from producer.large_files import LARGE_BYTES, LargeFiles, Spool
from producer.large_job import ReadJob, ReadRows, dialect_of, fingerprint_of
from producer.preferences import Handling
from producer.problems import RowsRejectedError
from producer.routing import Crossroads, account_of, route
from producer.timing import Stopwatch
from producer.uploads import Upload

INLINE_BYTES = 32 * 1024
THREADS = 2
HERE = Limits(unpacked_bytes=LARGE_BYTES, rows=100_000)
"""What may be read in this process; what turns out to be larger gets one of its own."""

LARGER_THAN_HERE = frozenset({"too-large-unpacked", "too-many-rows"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks for, its file apart."""

    prediction_id: PredictionId
    served: Served
    selector: Selector
    handling: Handling
    fresh_id: bool
    keep: bool = False
    callback_url: str | None = None
    crossroads: Crossroads | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """A large file's rows, as they are claimed: a file of the request's spool, and its digest."""

    file: IO[bytes]
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that can be sent; with ``rows``, once they are checked in."""

    request: PredictionRequest
    rows: Rows | None = None


class FileReader:
    """Reads files, of at most ``limits``, each where it disturbs the others least.

    ``close`` ends its threads.
    """

    def __init__(self, large: LargeFiles, limits: Limits = DEFAULT_LIMITS) -> None:
        self._large = large
        self._limits = limits
        self._here = Limits(
            unpacked_bytes=min(HERE.unpacked_bytes, limits.unpacked_bytes),
            rows=min(HERE.rows, limits.rows),
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="read")

    async def read(
        self, upload: Upload, asked: Asked, stopwatch: Stopwatch, spool: Spool
    ) -> Prepared:
        """Read and validate ``upload``, and make the worker's request of its good rows.

        Raises:
            UnreadableFile: nothing in it can be labelled.
            RowsRejectedError: some rows are bad and ``asked`` is strict.
            TransientError: it is large, and there is no place for it, or its process was lost.
        """
        if upload.file is not None:
            return await self._read_large(upload, upload.file, asked, stopwatch, spool)
        if len(upload.content) <= INLINE_BYTES and not upload.content.startswith(GZIP_MAGIC):
            return Prepared(prepare(upload, asked, stopwatch, self._here))
        loop = asyncio.get_running_loop()
        try:
            return Prepared(
                await loop.run_in_executor(
                    self._threads, prepare, upload, asked, stopwatch, self._here
                )
            )
        except UnreadableFile as error:
            if error.code not in LARGER_THAN_HERE:
                raise
        file = spool.file()  # it was packed, or its rows are very short
        await asyncio.to_thread(file.write, upload.content)
        return await self._read_large(upload, file, asked, stopwatch, spool)

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _read_large(
        self, upload: Upload, file: IO[bytes], asked: Asked, stopwatch: Stopwatch, spool: Spool
    ) -> Prepared:
        served = asked.served
        read, target = await self._in_process(upload, file, asked, served, spool)
        canary = _canary_of(upload, asked, read)
        if canary is not None:
            if canary.digest != served.digest:
                read, target = await self._in_process(upload, file, asked, canary, spool)
            served = canary
        if asked.handling is Handling.STRICT and read.violations_found:
            raise RowsRejectedError(read.violations, found=read.violations_found)
        stopwatch.lap("read")
        request = PredictionRequest(
            prediction_id=asked.prediction_id,
            model=served.model,
            lines=[],
            columns=msgspec.Raw(b"{}"),
            fingerprint=read.fingerprint,
            contract=served.digest,
            rows_read=read.rows_read,
            alias=None if canary else asked.selector.alias,
            version=canary.version if canary else asked.selector.version,
            dialect=read.dialect,
            fresh_id=asked.fresh_id,
            keep=asked.keep,
            callback_url=asked.callback_url,
        )
        return Prepared(request, Rows(target, read.sha256, read.size))

    async def _in_process(
        self, upload: Upload, file: IO[bytes], asked: Asked, served: Served, spool: Spool
    ) -> tuple[ReadRows, IO[bytes]]:
        target = spool.file()
        job = ReadJob(
            source=file.fileno(),
            target=target.fileno(),
            contract=served.contract.source_text,
            limits=self._limits,
            asked=_asked_parts(upload, asked),
            media_type=upload.media_type,
            file_name=upload.file_name,
        )
        return await self._large.read(job, file, target), target


def prepare(
    upload: Upload, asked: Asked, stopwatch: Stopwatch, limits: Limits = HERE
) -> PredictionRequest:
    """Read, validate and encode a file; see ``FileReader.read``."""
    served = asked.served
    table = _table(upload, served, limits)
    canary = _canary(upload, asked, table)
    if canary is not None:
        # The canary's contract need not be the champion's.
        table = table if canary.digest == served.digest else _table(upload, canary, limits)
        served = canary
    if asked.handling is Handling.STRICT and table.violations:
        raise RowsRejectedError(table.violations)
    stopwatch.lap("read")
    request = PredictionRequest(
        prediction_id=asked.prediction_id,
        model=served.model,
        lines=table.lines,
        columns=msgspec.Raw(msgspec.json.encode(_travelling(table, served))),
        fingerprint=fingerprint(upload, asked),
        contract=served.digest,
        rows_read=table.rows_read,
        alias=None if canary else asked.selector.alias,
        version=canary.version if canary else asked.selector.version,
        violations=table.violations,
        dialect=dialect_of(table),
        fresh_id=asked.fresh_id,
        keep=asked.keep,
        callback_url=asked.callback_url,
    )
    stopwatch.lap("encode")
    return request


def _table(upload: Upload, served: Served, limits: Limits) -> Table:
    return read_table(
        upload.content,
        served.contract,
        media_type=upload.media_type,
        file_name=upload.file_name,
        limits=limits,
    )


def _canary_of(upload: Upload, asked: Asked, read: ReadRows) -> Served | None:
    """As ``_canary``, of a file whose rows are elsewhere."""
    met = asked.crossroads
    if met is None:
        return None
    contract = asked.served.contract
    groups = {} if read.group is None else {contract.group: [read.group]}
    digest = replace(upload, content=read.fingerprint.encode())
    key = account_of(met.account, digest, contract, groups)
    return None if route(key, asked.served.model, met.canary) is None else met.served


def _canary(upload: Upload, asked: Asked, table: Table) -> Served | None:
    """The canary, if the file is one of its share."""
    met, served = asked.crossroads, asked.served
    if met is None:
        return None
    key = account_of(met.account, upload, served.contract, table.columns)
    return None if route(key, served.model, met.canary) is None else met.served


def _travelling(table: Table, served: Served) -> dict[str, list[Any]]:
    """What the worker needs; whose rows they are is not its business."""
    return {name: table.columns[name] for name in recipe_columns(served.contract)}


def fingerprint(upload: Upload, asked: Asked) -> str:
    """SHA-256 of what was asked: the same file for the same model, read in the same way."""
    return fingerprint_of(upload.content, _asked_parts(upload, asked))


def _asked_parts(upload: Upload, asked: Asked) -> list[str | None]:
    return [
        asked.served.model,
        asked.selector.alias,
        asked.selector.version,
        asked.handling.value,
        upload.media_type,
        upload.file_name,
    ]
