"""Predictions that were sent before: their results, waits for them, and their end by cancelling."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Literal

import msgspec

from common.errors import CarimboError, PermanentError
from common.messages import Failed, FailureCode, PredictionId, PredictionReply
from producer.answering import Answer, Answers
from producer.following import Followers
from producer.problems import FailedPredictionError, problem_of
from producer.records import Pending, Records, State

STREAM_SECONDS = 120.0
BEAT_SECONDS = 10.0
RECONNECT_MS = 2000
SETTLED_EVENT = "settled"
"""The id of a stream's last event: a browser that comes back with it is told to stop."""


class Links(msgspec.Struct, frozen=True):
    """Where to go on: ``self`` for the result."""

    this: str = msgspec.field(name="self")


class PendingPrediction(msgspec.Struct, frozen=True):
    """A prediction that is under way: come back to ``links.self`` for its result."""

    id: str
    status: Literal["pending"]
    links: Links


def pending_answer(prediction_id: PredictionId, retry_seconds: int) -> Answer:
    """202: the result will be at Location, perhaps after ``retry_seconds``."""
    place = f"/v1/predictions/{prediction_id}"
    headers = {"Location": place, "Retry-After": str(retry_seconds)}
    return Answer(_pending(prediction_id), HTTPStatus.ACCEPTED, headers)


class StoredPredictions:
    """Looks predictions up by their ids, whichever replica took them.

    ``retry_seconds`` says of a model when to come back.
    """

    def __init__(
        self,
        records: Records,
        followers: Followers,
        answers: Answers,
        retry_seconds: Callable[[str], int],
    ) -> None:
        self._answers = answers
        self._records = records
        self._followers = followers
        self._retry_seconds = retry_seconds

    async def read(self, prediction_id: PredictionId, wait_seconds: float) -> Answer:
        """What the prediction was answered, or would be now, after ``wait_seconds`` at most.

        Raises:
            PermanentError: there is no such prediction, or it failed.
            TransientError: the object store is away.
        """
        state = _issued(await self._followers.settled(prediction_id, wait_seconds))
        if isinstance(state, Pending):
            return pending_answer(prediction_id, self._retry_seconds(state.model))
        answer, _ = await self._answers.of(state)
        return answer

    async def cancel(self, prediction_id: PredictionId) -> None:
        """End the prediction before it is made.

        Raises:
            PermanentError: there is no such prediction, or it has a result.
            TransientError: the object store is away.
        """
        result = _issued(await self._records.cancel(prediction_id))
        if isinstance(result, Failed) and result.code == FailureCode.CANCELLED:
            return
        raise PermanentError(
            "already-settled",
            "The prediction has ended already, so there is nothing left to cancel; GET its "
            "address for what became of it.",
        )

    async def events(self, prediction_id: PredictionId) -> Callable[[], AsyncIterator[bytes]]:
        """A stream of events: ``status`` while it is under way, then ``result`` or ``problem``.

        Raises:
            PermanentError: there is no such prediction.
            TransientError: the object store is away.
        """
        _issued(await self._followers.state(prediction_id))
        return lambda: self._stream(prediction_id)

    async def _stream(self, prediction_id: PredictionId) -> AsyncIterator[bytes]:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        is_told = False
        try:
            async for state in self._followers.watch(
                prediction_id, STREAM_SECONDS, beat_seconds=BEAT_SECONDS
            ):
                if isinstance(state, Pending):
                    yield b": still pending\n\n" if is_told else _status_event(prediction_id)
                    is_told = True
                elif state is not None:
                    async for piece in self._last_event(prediction_id, state):
                        yield piece
        except CarimboError as error:
            # Too late for a status line: the stream ends, and its reader comes back.
            yield _event("retry", msgspec.json.encode(problem_of(error)))

    async def _last_event(
        self, prediction_id: PredictionId, result: PredictionReply
    ) -> AsyncIterator[bytes]:
        if isinstance(result, Failed):
            problem = problem_of(FailedPredictionError(result), prediction_id=prediction_id)
            yield _event("problem", msgspec.json.encode(problem), identity=SETTLED_EVENT)
            return
        answer, _ = await self._answers.of(result)
        head, end = _event("result", b"\0", identity=SETTLED_EVENT).split(b"\0")
        yield head
        async for piece in answer.pieces():
            yield piece
        yield end


def _issued(state: State) -> PredictionReply | Pending:
    if state is None:
        raise PermanentError(
            "unknown-prediction",
            "Nothing is known of a prediction with this id. Check the id; results are kept for a "
            "limited time.",
        )
    return state


def _pending(prediction_id: PredictionId) -> bytes:
    links = Links(f"/v1/predictions/{prediction_id}")
    return msgspec.json.encode(PendingPrediction(prediction_id, "pending", links))


def _status_event(prediction_id: PredictionId) -> bytes:
    return _event("status", _pending(prediction_id))


def _event(name: str, data: bytes, *, identity: str | None = None) -> bytes:
    """One server-sent event; JSON as it is encoded here has no line breaks."""
    head = f"event: {name}\n" + (f"id: {identity}\n" if identity else "")
    return head.encode() + b"data: " + data + b"\n\n"
