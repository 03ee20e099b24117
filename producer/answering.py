"""The body of an answer: a small one from memory, a large one from a file that a job wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO

from common.answers import Counts, answer_of
from common.errors import PermanentError
from common.messages import Completed, Failed, PredictionReply
from common.objects import ObjectStore
from common.topology import result_key
from producer.large_files import LargeFiles, pieces
from producer.large_job import encode_answer
from producer.problems import FailedPredictionError
from producer.records import LargeResult


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded body, its status, and the headers that go with it.

    A large body is in ``file`` instead, which whoever sends it closes.
    """

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)
    file: IO[bytes] | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, in pieces if it is large."""
        if self.file is None:
            yield self.body
            return
        async for piece in pieces(self.file):
            yield piece


def completed_of(result: PredictionReply) -> Completed:
    """The labels.

    Raises:
        FailedPredictionError: there are none.
    """
    if isinstance(result, Failed):
        raise FailedPredictionError(result)
    return result


class Answers:
    """Answers of results, whatever their size."""

    def __init__(self, store: ObjectStore, large: LargeFiles) -> None:
        self._store = store
        self._large = large

    async def of(self, result: PredictionReply) -> tuple[Answer, Counts]:
        """The answer to a labelled file, the same whenever it is asked for, and its counts.

        Raises:
            PermanentError: the file has no labels.
            TransientError: the object store did not answer, or the job was lost.
        """
        completed = completed_of(result)
        if not isinstance(completed, LargeResult):
            answer = answer_of(completed)
            return Answer(encode_answer(answer)), answer.counts
        key = result_key(completed.prediction_id)

        async def fetch(file: IO[bytes]) -> None:
            if not await self._store.get_into(key, file):
                raise PermanentError("unknown-prediction", "The result is not kept any more.")

        rendered, file = await self._large.render(fetch)
        return Answer(b"", file=file), rendered.counts
