"""What a receiver is told: the event's type, its time, and what a GET of the prediction answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from common.answers import answer_of, failure_of
from common.callbacks.orders import COMPLETED, FAILED
from common.messages import Completed, Failed, PredictionId, PredictionReply

_results: msgspec.json.Decoder[PredictionReply] = msgspec.json.Decoder(Completed | Failed)


class _Body(msgspec.Struct, frozen=True):
    """The body that Standard Webhooks recommends."""

    type: str
    timestamp: datetime
    data: Any


def read_result(stored: bytes) -> PredictionReply:
    """Decode a stored result."""
    return _results.decode(stored)


def type_of(result: PredictionReply) -> str:
    """The event that a result is."""
    return COMPLETED if isinstance(result, Completed) else FAILED


def message_id(prediction_id: PredictionId, event_type: str) -> str:
    """The ``webhook-id``: the same at every attempt and replay of one event, and of no other.

    The type is part of it because a prediction that failed can be redriven and complete after all.
    """
    return f"{event_type.replace('.', '_')}_{prediction_id}"


def body_of(result: PredictionReply, at: datetime) -> bytes:
    """The bytes to send, the same at every attempt."""
    data = answer_of(result) if isinstance(result, Completed) else failure_of(result)
    return msgspec.json.encode(_Body(type_of(result), at, data))
