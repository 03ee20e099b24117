"""From an uploaded file to the request that goes to a worker: read, validate, encode.

All of it is computing. A small file is read on the event loop, where it takes less than the
hand-over to a thread and back would cost the others; a larger one in one of few threads.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from common.messages import PredictionId, PredictionRequest
from common.tables import Dialect, read_table
from producer.catalogue import Selector, Served
from producer.preferences import Handling
from producer.problems import RowsRejectedError
from producer.timing import Stopwatch
from producer.uploads import Upload

INLINE_BYTES = 32 * 1024
THREADS = 2


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


class FileReader:
    """Reads files, the larger ones off the event loop. ``close`` ends its threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="read")

    async def read(self, upload: Upload, asked: Asked, stopwatch: Stopwatch) -> PredictionRequest:
        """Read and validate ``upload``, and make the worker's request of its good rows.

        Raises:
            UnreadableFile: nothing in it can be labelled.
            RowsRejectedError: some rows are bad and ``asked`` is strict.
        """
        if len(upload.content) <= INLINE_BYTES:
            return prepare(upload, asked, stopwatch)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, prepare, upload, asked, stopwatch)

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def prepare(upload: Upload, asked: Asked, stopwatch: Stopwatch) -> PredictionRequest:
    """Read, validate and encode a file; see ``FileReader.read``."""
    served = asked.served
    table = read_table(
        upload.content,
        served.contract,
        media_type=upload.media_type,
        file_name=upload.file_name,
    )
    if asked.handling is Handling.STRICT and table.violations:
        raise RowsRejectedError(table.violations)
    stopwatch.lap("read")
    request = PredictionRequest(
        prediction_id=asked.prediction_id,
        model=served.model,
        lines=table.lines,
        columns=msgspec.Raw(msgspec.json.encode(table.columns)),
        fingerprint=fingerprint(upload, asked),
        contract=served.digest,
        rows_read=table.rows_read,
        alias=asked.selector.alias,
        version=asked.selector.version,
        violations=table.violations,
        dialect=dialect_of(table.dialect),
        fresh_id=asked.fresh_id,
        keep=asked.keep,
        callback_url=asked.callback_url,
    )
    stopwatch.lap("encode")
    return request


def dialect_of(dialect: Dialect) -> dict[str, str | int | None]:
    """How the file was read; what does not apply to its format is left out."""
    marks = set(dialect.decimal_marks.values())
    found: dict[str, str | int | None] = {
        "format": dialect.format.value,
        "packing": "gzip" if dialect.is_gzipped else None,
        "encoding": dialect.encoding,
        "delimiter": dialect.delimiter,
        "decimal_mark": marks.pop() if len(marks) == 1 else None,
        "header_line": dialect.header_line,
    }
    return {name: value for name, value in found.items() if value is not None}


def fingerprint(upload: Upload, asked: Asked) -> str:
    """SHA-256 of what was asked: the same file for the same model, read in the same way."""
    digest = hashlib.sha256(upload.content)
    for part in (
        asked.served.model,
        asked.selector.alias,
        asked.selector.version,
        asked.handling,
        upload.media_type,
        upload.file_name,
    ):
        digest.update(b"\x00" if part is None else b"\x01" + part.encode(errors="replace"))
    return digest.hexdigest()
