"""``python -m producer.large_job``: one job on one large file, in a process of its own.

Reading fifty megabytes takes the interpreter for seconds and a gigabyte for cells. Here neither is
the producer's: its event loop goes on, and the memory goes back when the process ends. The job
comes as JSON on the standard input, the files as open descriptors without a name, the outcome
leaves as JSON on the standard output. Nothing of the web framework is imported.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from common.answers import Counts, answer_of
from common.claims.table import PART_ROWS, part_of, write_part
from common.contracts import parse_contract, recipe_columns
from common.errors import PermanentError
from common.messages import Completed, Violation
from common.tables import Limits, Table, UnreadableFile, read_table

MEMORY_BYTES = 4 * 1024**3
"""Address space of a job. A file at every bound takes about half; what takes more is refused."""

NICENESS = 10
"""Small files are answered first: somebody waits for those."""

QUOTED_VIOLATIONS = 1_000


class ReadJob(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """Read the file of ``source`` and write its rows to ``target`` as a claimed table.

    ``asked`` is what makes two requests of one file differ: see ``fingerprint_of``.
    """

    source: int
    target: int
    contract: str
    limits: Limits
    asked: list[str | None]
    media_type: str | None = None
    file_name: str | None = None


class RenderJob(msgspec.Struct, frozen=True, kw_only=True, tag="render"):
    """Write to ``target`` the answer that the stored result of ``source`` becomes."""

    source: int
    target: int


class ReadRows(msgspec.Struct, frozen=True, kw_only=True, tag="rows"):
    """A file was read: ``target`` has ``size`` bytes of that digest.

    ``violations`` are the first of those found. ``group`` is the cell of the contract's group
    column where it is the same in all rows.
    """

    fingerprint: str
    sha256: str
    size: int
    rows_read: int
    dialect: dict[str, str | int | None]
    violations_found: int
    violations: list[Violation]
    group: str | None = None


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag="rendered"):
    """An answer was written."""

    counts: Counts


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The file cannot be read: the parts of an ``UnreadableFile``."""

    code: str
    message: str
    looked_for: str = ""
    found: str = ""
    violations: list[Violation] = []
    rows_read: int = 0


Job = ReadJob | RenderJob
JobOutcome = ReadRows | Rendered | Refused


def fingerprint_of(content: bytes, asked: Sequence[str | None]) -> str:
    """SHA-256 of a file and of what was asked of it."""
    digest = hashlib.sha256(content)
    for part in asked:
        digest.update(b"\x00" if part is None else b"\x01" + part.encode(errors="replace"))
    return digest.hexdigest()


def dialect_of(table: Table) -> dict[str, str | int | None]:
    """How a file was read; what does not apply to its format is left out."""
    dialect = table.dialect
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


def do(job: Job) -> JobOutcome:
    """Do a job; what cannot be read is an outcome, too."""
    try:
        return _read(job) if isinstance(job, ReadJob) else _render(job)
    except UnreadableFile as error:
        return Refused(
            code=error.code,
            message=error.message,
            looked_for=error.looked_for,
            found=error.found,
            violations=error.violations,
            rows_read=error.rows_read,
        )
    except PermanentError as error:
        return Refused(code=error.code, message=error.message)
    except MemoryError:
        return Refused(
            code="too-large-unpacked",
            message=f"Reading the file takes more than {MEMORY_BYTES >> 30} GiB of memory. Split "
            "it.",
        )


def _read(job: ReadJob) -> ReadRows:
    content = _content(job.source)
    contract = parse_contract(job.contract, source="contract.yaml")
    table = read_table(
        content,
        contract,
        media_type=job.media_type,
        file_name=job.file_name,
        limits=job.limits,
    )
    fingerprint = fingerprint_of(content, job.asked)
    del content
    columns = {name: table.columns[name] for name in recipe_columns(contract)}
    groups = set(table.columns.get(contract.group, ())) - {None}
    digest, size = hashlib.sha256(), 0
    with _target(job.target) as target:
        for first in range(0, len(table.lines), PART_ROWS):
            violations = [] if first else table.violations
            line = write_part(part_of(table.lines, columns, first, violations))
            digest.update(line)
            size += len(line)
            target.write(line)
    return ReadRows(
        fingerprint=fingerprint,
        sha256=digest.hexdigest(),
        size=size,
        rows_read=table.rows_read,
        dialect=dialect_of(table),
        violations_found=len(table.violations),
        violations=table.violations[:QUOTED_VIOLATIONS],
        group=str(groups.pop()) if len(groups) == 1 else None,
    )


def _render(job: RenderJob) -> Rendered:
    answer = answer_of(msgspec.json.decode(_content(job.source), type=Completed))
    with _target(job.target) as target:
        target.write(encode_answer(answer))
    return Rendered(counts=answer.counts)


def encode_answer(answer: Any) -> bytes:
    """The body that answers a labelled file, the same whenever it is asked for."""
    return _encoder.encode(answer)


def _content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as source:
        source.seek(0)
        return source.read()


def _target(descriptor: int) -> IO[bytes]:
    return os.fdopen(descriptor, "wb")


_encoder = msgspec.json.Encoder(decimal_format="string")
_jobs: msgspec.json.Decoder[Job] = msgspec.json.Decoder(ReadJob | RenderJob)


def main() -> int:
    """Do the job of the standard input."""
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    outcome = do(_jobs.decode(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
