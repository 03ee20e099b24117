"""A prediction's one terminal result: kept under its id, written once, told to whoever waits.

The message that asked for it is deleted only after both. When the id is new for certain, the two
run side by side; when it may have been used before, the store decides first what is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from opentelemetry import trace

from common.messages import (
    Completed,
    Failed,
    FailureCode,
    Lapsed,
    PredictionId,
    PredictionReply,
    PredictionRequest,
    Promise,
)
from common.objects import ObjectStore
from common.topology import FINGERPRINT_NOTE, promise_key, result_key

JSON = "application/json"
SURE_TO_FIT_BYTES = 128 * 1024
"""A reply up to this fits into a message of the smallest limit, 256 KiB, whatever comes with it."""
Tell = Callable[[bytes], Awaitable[None]]
"""Sends an encoded reply to the caller. Raises TransientError when it may not have arrived."""

_tracer = trace.get_tracer("carimbo.consumer")
_decoder: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)
_promises: msgspec.json.Decoder[Promise] = msgspec.json.Decoder(Promise)


class Results:
    """The stored results of all predictions, whoever made them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def earlier(self, request: PredictionRequest) -> bytes | None:
        """What must be told instead of working: the id's stored result, if there is one.

        Raises:
            TransientError: the store did not answer.
        """
        stored = await self._store.get(result_key(request.prediction_id))
        return None if stored is None else _same_or_reused(stored, request)

    async def lapse(self, request: PredictionRequest) -> bool:
        """Decide for good that nobody awaits the request; False when somebody was told to return.

        Its producer decides by the same object, so that the two can never disagree.

        Raises:
            TransientError: the store did not answer.
        """
        key = promise_key(request.prediction_id)
        lapsed = Lapsed(
            prediction_id=request.prediction_id,
            model=request.model,
            fingerprint=request.fingerprint,
        )
        if await self._store.put_once(key, msgspec.json.encode(lapsed), JSON):
            return True
        return await self.has_lapsed(request)

    async def has_lapsed(self, request: PredictionRequest) -> bool:
        """Whether a worker decided before that nobody awaits the request.

        Raises:
            TransientError: the store did not answer.
        """
        kept = await self._store.get(promise_key(request.prediction_id))
        return kept is not None and isinstance(_promises.decode(kept), Lapsed)

    async def settle(
        self, request: PredictionRequest, reply: PredictionReply, tell: Tell, *, is_new: bool
    ) -> bytes:
        """Keep and tell the result; returns what was told once both are done.

        ``is_new``: no earlier result can exist, so that the caller need not wait for the store.

        Raises:
            TransientError: at least one of the two is not certain; do both again later.
        """
        body = msgspec.json.encode(reply)
        if is_new and len(body) <= SURE_TO_FIT_BYTES:
            await _both(self._keep(request.prediction_id, body, reply.fingerprint), tell(body))
            return body
        # A reply that does not fit says that the result is stored: so it must be, before.
        if not await self._keep(request.prediction_id, body, reply.fingerprint):
            body = await self.earlier(request) or body
        await tell(body)
        return body

    async def _keep(self, prediction_id: PredictionId, body: bytes, fingerprint: str) -> bool:
        with _tracer.start_as_current_span("store", record_exception=False):
            notes = {FINGERPRINT_NOTE: fingerprint}
            return await self._store.put_once(result_key(prediction_id), body, JSON, notes)


async def _both(keep: Awaitable[bool], told: Awaitable[None]) -> None:
    """Wait for both, even when one fails: neither may be under way when the message is released."""
    outcomes = await asyncio.gather(keep, told, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def failed(request: PredictionRequest, code: str, message: str) -> Failed:
    """The answer to a request that no attempt can label."""
    return Failed(
        prediction_id=request.prediction_id,
        model=request.model,
        code=code,
        message=message,
        fingerprint=request.fingerprint,
    )


def _same_or_reused(stored: bytes, request: PredictionRequest) -> bytes:
    """The stored bytes when the same was asked before; a refusal when something else was."""
    if _decoder.decode(stored).fingerprint == request.fingerprint:
        return stored
    return msgspec.json.encode(
        failed(
            request,
            FailureCode.PREDICTION_ID_REUSED,
            "This prediction id already belongs to another file. Send this file under a new id.",
        )
    )
