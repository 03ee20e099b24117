"""Large files, each in a process of its own: few at once, the content on disk and never here.

Whatever is large passes through files that have no name: they are gone with their descriptors,
whoever dies. See ``producer.large_job`` for what the processes do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO

import msgspec

from common.errors import PermanentError, TransientError
from common.tables import UnreadableFile
from producer.large_job import Job, JobOutcome, ReadJob, ReadRows, Refused, Rendered, RenderJob

LARGE_BYTES = 4 * 1024 * 1024
"""A file above this is large: reading it here would take the interpreter for a second or more."""

AT_ONCE = 2
"""Jobs at once: each takes a core for seconds, and a gigabyte at the worst."""

MOST_HELD = 16
"""Large files on disk at once: a gibibyte of uploads at the default bound, and as much of rows."""

LONGEST_SECONDS = 120.0
RETRY_SECONDS = 10.0
PIECE_BYTES = 256 * 1024

_outcomes: msgspec.json.Decoder[JobOutcome] = msgspec.json.Decoder(ReadRows | Rendered | Refused)


class Spool:
    """One request's files on disk. The first takes one of the places for large files."""

    def __init__(self, place: Callable[[ExitStack], None]) -> None:
        self._place = place
        self._held = ExitStack()
        self._has_place = False

    def file(self) -> IO[bytes]:
        """A new file without a name, which lasts until the spool is closed.

        Raises:
            TransientError: as many large files are held as this replica takes.
        """
        if not self._has_place:
            self._place(self._held)
            self._has_place = True
        return self._held.enter_context(TemporaryFile())

    def close(self) -> None:
        """Give back the files, and the place. May be called twice."""
        self._held.close()
        self._has_place = False


class LargeFiles:
    """Reads large files and renders large answers. Whoever comes third waits for a turn."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._held = 0

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """What one request may need of the disk; given back at the end at the latest."""
        spool = Spool(self._take_place)
        try:
            yield spool
        finally:
            spool.close()

    async def read(self, job: ReadJob, source: IO[bytes], target: IO[bytes]) -> ReadRows:
        """Read ``source``, and write its rows to ``target``; they are the job's descriptors.

        Raises:
            PermanentError: nothing in it can be labelled.
            TransientError: the process was lost.
        """
        async with self._turns:
            outcome = await _done(job, source, target)
        return _rows(outcome)

    async def render(
        self, fetch: Callable[[IO[bytes]], Awaitable[None]]
    ) -> tuple[Rendered, IO[bytes]]:
        """The answer of the stored result that ``fetch`` writes to a file; its reader closes it.

        Raises:
            TransientError: the process was lost.
        """
        target = TemporaryFile()  # noqa: SIM115 - its reader closes it
        try:
            async with self._turns:
                with TemporaryFile() as source:
                    await fetch(source)
                    job = RenderJob(source=source.fileno(), target=target.fileno())
                    outcome = await _done(job, source, target)
            return _rendered(outcome), target
        except BaseException:
            target.close()
            raise

    def _take_place(self, held: ExitStack) -> None:
        if self._held >= MOST_HELD:
            raise TransientError(
                "overloaded",
                f"{self._held} large files are being taken in, as many as this replica can; "
                "come back after Retry-After.",
                delay_seconds=RETRY_SECONDS,
            )
        self._held += 1
        held.callback(self._give_place)

    def _give_place(self) -> None:
        self._held -= 1


async def pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    """All of a file, a piece at a time; then it is closed, and with it gone."""
    with file:
        await asyncio.to_thread(file.seek, 0)
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


async def _done(job: Job, source: IO[bytes], target: IO[bytes]) -> JobOutcome:
    """The outcome of a job; its process does not outlive the wait for it.

    Raises:
        TransientError: it died, or took too long.
    """
    source.flush()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "producer.large_job",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(source.fileno(), target.fileno()),
    )
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            told, _ = await process.communicate(msgspec.json.encode(job))
    except TimeoutError:
        raise _lost(f"took longer than {LONGEST_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _lost(f"ended with status {process.returncode}")
    return _outcomes.decode(told)


def _rows(outcome: JobOutcome) -> ReadRows:
    if not isinstance(outcome, ReadRows):
        raise _refusal(outcome)
    return outcome


def _rendered(outcome: JobOutcome) -> Rendered:
    if not isinstance(outcome, Rendered):
        raise _refusal(outcome)
    return outcome


def _refusal(outcome: JobOutcome) -> PermanentError:
    if not isinstance(outcome, Refused):
        raise TypeError(f"The job's outcome is of another kind: {type(outcome).__name__}.")
    return UnreadableFile(
        outcome.code,
        outcome.message,
        looked_for=outcome.looked_for,
        found=outcome.found,
        violations=outcome.violations,
        rows_read=outcome.rows_read,
    )


def _lost(how: str) -> TransientError:
    return TransientError(
        "unavailable",
        f"The process that worked on the large file {how}; send it again shortly.",
        delay_seconds=RETRY_SECONDS,
    )
