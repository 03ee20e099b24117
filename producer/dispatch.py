"""A request to a worker and its result: by the reply queue, or, when no reply comes, as stored.

A reply may be lost; the result it announced is durable before the request is ever deleted. So the
second half of every wait also looks at the object store, a few times, and a lost reply costs time
but no answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from common.errors import PermanentError, TransientError
from common.faststream_sqs import SQSBroker
from common.messages import PredictionId, PredictionReply, PredictionRequest
from common.objects import ObjectStore
from common.sqs import QueueGone
from common.topology import requests_queue, result_key
from producer.queues import RequestQueues

LOOKS = 5
BROKER_SLACK_SECONDS = 5.0
STORE_TIMEOUT_SECONDS = 2.0
QUEUE_REPAIR_SECONDS = 10.0

_decoder = msgspec.json.Decoder(PredictionReply)


class Source(StrEnum):
    """Where a result came from."""

    REPLY = "reply"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction's terminal result. ``reply_queue_ms`` is its wait on SQS's own clock."""

    result: PredictionReply
    source: Source
    reply_queue_ms: float = 0.0


class Dispatch:
    """Sends requests for models whose queues start with ``prefix``."""

    def __init__(
        self, broker: SQSBroker, store: ObjectStore, queues: RequestQueues, prefix: str
    ) -> None:
        self._broker = broker
        self._store = store
        self._queues = queues
        self._prefix = prefix

    async def ask(self, request: PredictionRequest, wait_seconds: float) -> Outcome:
        """Send ``request`` and wait for its result, at most ``wait_seconds``.

        Raises:
            PermanentError: ``expired`` when there is no result yet, or the message cannot be sent.
            TransientError: the queue did not take the message.
        """
        reply = asyncio.create_task(self._by_reply(request, wait_seconds))
        try:
            for pause in look_pauses(wait_seconds):
                done, _ = await asyncio.wait({reply}, timeout=pause)
                if done:
                    return reply.result()
                stored = await self._glance(request)
                if stored is not None:
                    return Outcome(stored, Source.STORE)
        finally:
            reply.cancel()
        raise PermanentError(
            "expired",
            f"No labels within {wait_seconds:.3g} s. GET /v1/predictions/{request.prediction_id} "
            "answers once the result is stored; or send the file again with a longer "
            "Prefer: wait=N.",
        )

    async def stored(self, prediction_id: PredictionId) -> PredictionReply | None:
        """The stored result, or None when there is none (yet).

        Raises:
            TransientError: the object store did not answer.
        """
        body = await self._store.get(result_key(prediction_id))
        return None if body is None else _decoder.decode(body)

    async def _by_reply(self, request: PredictionRequest, wait_seconds: float) -> Outcome:
        try:
            message = await self._broker.request(
                request,
                requests_queue(self._prefix, request.model),
                timeout=wait_seconds + BROKER_SLACK_SECONDS,
                headers={"budget_ms": str(int(wait_seconds * 1000))},
            )
        except QueueGone as error:
            self._queues.forget(request.model)
            raise TransientError(
                "unavailable",
                f"The queue of model {request.model!r} is gone and is being made anew; "
                "send the file again shortly.",
                delay_seconds=QUEUE_REPAIR_SECONDS,
            ) from error
        return Outcome(_decoder.decode(message.body), Source.REPLY, float(message.queue_wait_ms))

    async def _glance(self, request: PredictionRequest) -> PredictionReply | None:
        """A stored result, if there is one and the store answers soon."""
        with suppress(TransientError, TimeoutError):
            async with asyncio.timeout(STORE_TIMEOUT_SECONDS):
                result = await self.stored(request.prediction_id)
            if result is not None:
                _refuse_reuse(request, result)
            return result
        return None


def look_pauses(wait_seconds: float) -> tuple[float, ...]:
    """Pauses before each look at the store: half of the wait, then tenths of it, to its end."""
    half = wait_seconds / 2
    return (half, *[half / LOOKS] * LOOKS)


def _refuse_reuse(request: PredictionRequest, result: PredictionReply) -> None:
    """A stored result belongs to ``request`` only if both were made of the same file.

    A failure that never knew its request has no fingerprint.
    """
    if result.fingerprint in (request.fingerprint, ""):
        return
    raise PermanentError(
        "prediction-id-reused",
        f"The prediction id {request.prediction_id} already names the result of another request; "
        "send every file under an id of its own.",
    )
