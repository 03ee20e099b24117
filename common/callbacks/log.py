"""The delivery log: an object an attempt, written once, without a word of any content."""

from __future__ import annotations

import msgspec

from common.callbacks.orders import COMPLETED, FAILED, CallbackAttempt, CallbackEvent
from common.messages import PredictionId
from common.objects import ObjectStore
from common.topology import callback_attempt_key, callback_event_key

JSON = "application/json"

_attempts = msgspec.json.Decoder(CallbackAttempt)
_events = msgspec.json.Decoder(CallbackEvent)


class DeliveryLog:
    """The logs of all predictions, in the bucket of their results."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def event(self, prediction_id: PredictionId, event: CallbackEvent) -> CallbackEvent:
        """Write down what is told, or give what was written down before.

        Raises:
            TransientError: the store did not answer.
        """
        key = callback_event_key(prediction_id, event.type)
        if await self._store.put_once(key, msgspec.json.encode(event), JSON):
            return event
        kept = await self._store.get(key)
        return event if kept is None else _events.decode(kept)

    async def read(self, prediction_id: PredictionId) -> list[CallbackAttempt]:
        """Every attempt so far, oldest first.

        Raises:
            TransientError: the store did not answer.
        """
        found: list[CallbackAttempt] = []
        while True:
            body = await self._store.get(callback_attempt_key(prediction_id, len(found) + 1))
            if body is None:
                return found
            found.append(_attempts.decode(body))

    async def url(self, prediction_id: PredictionId) -> str | None:
        """The receiver, once a callback was ordered; None before.

        Raises:
            TransientError: the store did not answer.
        """
        for event_type in (COMPLETED, FAILED):
            kept = await self._store.get(callback_event_key(prediction_id, event_type))
            if kept is not None:
                return _events.decode(kept).url
        return None

    async def add(self, prediction_id: PredictionId, attempt: CallbackAttempt) -> CallbackAttempt:
        """Write an attempt under its number, or the next one that is free.

        A number is taken when the same order was delivered twice at the same time.

        Raises:
            TransientError: the store did not answer.
        """
        while True:
            key = callback_attempt_key(prediction_id, attempt.attempt)
            if await self._store.put_once(key, msgspec.json.encode(attempt), JSON):
                return attempt
            attempt = msgspec.structs.replace(attempt, attempt=attempt.attempt + 1)
