"""The message that orders a callback, and the objects that tell what became of it.

Like every message it must decode for ever: fields are only added, with a default. The log's
entries hold no word of the prediction itself nor of what the receiver said.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from common.messages import PredictionId

COMPLETED = "prediction.completed"
FAILED = "prediction.failed"


class CallbackOrder(msgspec.Struct, frozen=True, kw_only=True, tag="callback-order"):
    """Tell ``url`` what became of a prediction whose result is stored.

    ``after`` is the number of the last attempt that belongs to earlier orders (0: none does), so
    that a replay begins the schedule anew although the log goes on.
    """

    prediction_id: PredictionId
    url: str
    after: int = 0


class CallbackEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, written down at the first order so that every delivery has the same bytes.

    ``type`` is ``COMPLETED`` or ``FAILED``; ``at`` is when it was ordered.
    """

    type: str
    url: str
    at: datetime


class CallbackAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the delivery log.

    ``status`` is the receiver's HTTP status; without an answer ``error`` is a code instead
    (``timeout``, ``not-resolved``, ``not-connected``, ``tls``, ``address-refused``, ...).
    ``ms`` counts from the name's look-up to the answer's headers.
    """

    attempt: int
    type: str
    at: datetime
    ms: int
    status: int | None = None
    error: str | None = None
