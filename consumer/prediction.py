"""From a request's columns to labels, in threads: the event loop never predicts.

LightGBM works without the interpreter's lock, so threads give it the other cores while the loop
keeps leases and replies going. One thread a call: LightGBM's own would fight over the same cores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import msgspec
from opentelemetry import trace

from common.messages import PredictionRequest
from consumer.served_model import Matrix, Scores, ServedModel

CHUNK_ROWS = 1024
"""Rows predicted in one go: some ten milliseconds, which another file can wait for."""

Result = TypeVar("Result")
_tracer = trace.get_tracer("carimbo.consumer")


@dataclass(frozen=True, slots=True)
class Prediction:
    """A file's labels, and the milliseconds of each stage that made them."""

    scores: Scores
    stages: dict[str, float]


class Predictor:
    """Predicts files in a pool of threads, small ones in one hop, large ones chunk by chunk."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")

    async def predict(
        self, served: ServedModel, request: PredictionRequest, columns: Sequence[msgspec.Raw] = ()
    ) -> Prediction:
        """Label every row of a request with one version.

        ``columns`` are those of a redeemed claim, in parts; the request's own when there is none.

        Raises:
            PermanentError: the columns are not what the version's contract says.
        """
        if len(request.lines) <= CHUNK_ROWS:
            return await self._in_thread(lambda: _whole(served, request, columns))
        stages: dict[str, float] = {}
        matrix = await self._in_thread(lambda: _prepared(served, request, columns, stages))
        with _stage("predict", stages):
            scores = await self._in_chunks(served, matrix)
        return Prediction(scores, stages)

    def close(self) -> None:
        """Let the threads go once they have finished."""
        self._pool.shutdown(wait=True)

    async def _in_chunks(self, served: ServedModel, matrix: Matrix) -> Scores:
        """At most one chunk a thread at a time, so that small files find their turn between."""
        chunks = [matrix[at : at + CHUNK_ROWS] for at in range(0, len(matrix), CHUNK_ROWS)]
        found: list[Scores] = []
        for at in range(0, len(chunks), self._threads):
            wave = [self._in_thread(_bound(served, c)) for c in chunks[at : at + self._threads]]
            found += await asyncio.gather(*wave)
        return Scores(
            [label for part in found for label in part.labels],
            [confidence for part in found for confidence in part.confidences],
        )

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` in the pool, with the caller's trace and log context."""
        context = copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: context.run(work))


def _bound(served: ServedModel, chunk: Matrix) -> Callable[[], Scores]:
    return lambda: served.scores(chunk)


def _whole(
    served: ServedModel, request: PredictionRequest, columns: Sequence[msgspec.Raw]
) -> Prediction:
    stages: dict[str, float] = {}
    matrix = _prepared(served, request, columns, stages)
    with _stage("predict", stages):
        scores = served.scores(matrix)
    return Prediction(scores, stages)


def _prepared(
    served: ServedModel,
    request: PredictionRequest,
    columns: Sequence[msgspec.Raw],
    stages: dict[str, float],
) -> Matrix:
    with _stage("decode", stages):
        decoded = served.decode(request, columns)
    with _stage("features", stages):
        return served.matrix(decoded)


@contextmanager
def _stage(name: str, stages: dict[str, float]) -> Iterator[None]:
    """A span, and its milliseconds in ``stages``."""
    with _tracer.start_as_current_span(name, record_exception=False):
        started = perf_counter()
        yield
        stages[name] = (perf_counter() - started) * 1000
