"""What the object store knows of predictions: their results, and what clients were promised.

A state is read off the objects that exist and never written over, so none can overtake another:
a result is final; without one, a promise means that the work is under way; without either, nobody
was ever told that the prediction exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from common.errors import PermanentError
from common.messages import (
    Accepted,
    Completed,
    Failed,
    FailureCode,
    Lapsed,
    PredictionId,
    PredictionReply,
    PredictionRequest,
    Promise,
)
from common.objects import ObjectStore, Unread
from common.topology import FINGERPRINT_NOTE, promise_key, result_key

JSON = "application/json"

_results: msgspec.json.Decoder[PredictionReply] = msgspec.json.Decoder(PredictionReply)
_promises: msgspec.json.Decoder[Promise] = msgspec.json.Decoder(Promise)


LARGE_RESULT_BYTES = 2 * 1024 * 1024
"""Some thirty thousand rows. Decoding more would hold up the event loop for too long."""


class LargeResult(Completed, frozen=True, kw_only=True, tag_field="outcome", tag="completed"):
    """A stored result that was not read: nothing of it is known here but whose it is."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A prediction that is under way; ``model`` is empty where it is not known yet."""

    prediction_id: PredictionId
    model: str = ""


State = PredictionReply | Pending | None
"""None: no such prediction was ever issued, or it was so long ago that nothing is kept of it."""


class Records:
    """The records of all predictions, whichever replica took them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def result(self, prediction_id: PredictionId) -> PredictionReply | None:
        """The final result, or None when there is none (yet).

        Raises:
            TransientError: the object store did not answer.
        """
        body = await self._store.get_up_to(result_key(prediction_id), LARGE_RESULT_BYTES)
        if isinstance(body, Unread):
            return LargeResult(
                prediction_id=prediction_id,
                model="",
                version="",
                fingerprint=body.notes.get(FINGERPRINT_NOTE, ""),
                rows_read=0,
                lines=[],
                labels=[],
                confidences=[],
            )
        return None if body is None else _results.decode(body)

    async def state(self, prediction_id: PredictionId) -> State:
        """What may be said of a prediction now.

        Raises:
            TransientError: the object store did not answer.
        """
        result = await self.result(prediction_id)
        if result is not None:
            return result
        promise = await self._promise(prediction_id)
        if isinstance(promise, Lapsed):
            return _expired(promise)
        return None if promise is None else Pending(prediction_id, promise.model)

    async def promise(self, request: PredictionRequest) -> None:
        """Write down that the request's result will be fetched later. Only for what was sent.

        Raises:
            PermanentError: ``expired``, when a worker decided before that nobody waits;
                ``prediction-id-reused``, when the id was promised for another request.
            TransientError: the object store did not answer.
        """
        accepted = Accepted(
            prediction_id=request.prediction_id,
            model=request.model,
            fingerprint=request.fingerprint,
            created=datetime.now(UTC),
            callback_url=request.callback_url,
        )
        key = promise_key(request.prediction_id)
        if await self._store.put_once(key, msgspec.json.encode(accepted), JSON):
            return
        earlier = await self._promise(request.prediction_id)
        if earlier is None:
            return
        if earlier.fingerprint != request.fingerprint:
            raise id_reused(request)
        if isinstance(earlier, Lapsed):
            expired = _expired(earlier)
            raise PermanentError(expired.code, expired.message)

    async def holds(self, request: PredictionRequest) -> bool:
        """Whether the request was taken before, under the id that its client chose for it.

        Asked before it is sent: the queue does not tell two requests of one id apart, and the
        first result that is stored would stand for both.

        Raises:
            PermanentError: ``prediction-id-reused``, when the id names another request.
            TransientError: the object store did not answer.
        """
        result = await self.result(request.prediction_id)
        if result is not None:
            refuse_reuse(request, result)
            return True
        promise = await self._promise(request.prediction_id)
        if promise is None:
            return False
        if promise.fingerprint != request.fingerprint:
            raise id_reused(request)
        return True

    async def cancel(self, prediction_id: PredictionId) -> State:
        """End a prediction unless it has ended; what it is then, which may be another's doing.

        Raises:
            TransientError: the object store did not answer.
        """
        promise = await self._promise(prediction_id)
        if not isinstance(promise, Accepted):
            return await self.state(prediction_id)
        cancelled = Failed(
            prediction_id=prediction_id,
            model=promise.model,
            code=FailureCode.CANCELLED,
            message="The prediction was cancelled before it was made.",
            fingerprint=promise.fingerprint,
        )
        body = msgspec.json.encode(cancelled)
        if await self._store.put_once(result_key(prediction_id), body, JSON):
            return cancelled
        return await self.result(prediction_id)

    async def _promise(self, prediction_id: PredictionId) -> Promise | None:
        body = await self._store.get(promise_key(prediction_id))
        return None if body is None else _promises.decode(body)


def refuse_reuse(request: PredictionRequest, result: PredictionReply) -> None:
    """A stored result belongs to ``request`` only if both were made of the same file.

    A failure that never knew its request has no fingerprint.

    Raises:
        PermanentError: ``prediction-id-reused``.
    """
    if result.fingerprint not in (request.fingerprint, ""):
        raise id_reused(request)


def id_reused(request: PredictionRequest) -> PermanentError:
    """The refusal of a request whose id belongs to another."""
    return PermanentError(
        "prediction-id-reused",
        f"The prediction id {request.prediction_id} already names another request; send every "
        "file under an id of its own.",
    )


def _expired(lapsed: Lapsed) -> Failed:
    return Failed(
        prediction_id=lapsed.prediction_id,
        model=lapsed.model,
        code=FailureCode.EXPIRED,
        message="No worker reached the file while it was awaited. Send it again under a new id, "
        "with a longer Prefer: wait=N, or with Prefer: respond-async.",
        fingerprint=lapsed.fingerprint,
    )
