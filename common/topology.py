"""The names of queues and objects: one place, so that no two services can disagree."""

from __future__ import annotations

from uuid import uuid4

from common.messages import PredictionId


def requests_queue(prefix: str, model: str) -> str:
    """Name of the queue that a model's workers read."""
    return f"{prefix}{model}-requests"


def dead_letter_queue(prefix: str, model: str) -> str:
    """Name of the queue where a model's failed requests are buried."""
    return f"{prefix}{model}-dead-letters"


def shadow_queue(prefix: str, model: str) -> str:
    """Name of the queue of copies for a model's shadow; what fails there is thrown away."""
    return f"{prefix}{model}-shadow"


def callbacks_queue(prefix: str) -> str:
    """Name of the queue of callbacks to deliver."""
    return f"{prefix}callbacks"


def callbacks_dead_letter_queue(prefix: str) -> str:
    """Name of the queue where callbacks that could not be delivered are buried."""
    return f"{prefix}callbacks-dead-letters"


def reply_queue_prefix(prefix: str) -> str:
    """What every reply queue's name starts with: the sweeper looks for it."""
    return f"{prefix}replies-"


def new_reply_queue(prefix: str) -> str:
    """Name for one replica's reply queue. SQS refuses a name again for 60 s: never reused."""
    return f"{reply_queue_prefix(prefix)}{uuid4().hex}"


def result_key(prediction_id: PredictionId) -> str:
    """Object key of a prediction's one terminal result."""
    return f"results/{prediction_id}.json"


FINGERPRINT_NOTE = "fingerprint"
"""Noted with a result's object: whose it is can be told of a large one without reading it."""


def callback_event_key(prediction_id: PredictionId, event_type: str) -> str:
    """Object key of what a callback tells; ``event_type`` is as in ``CallbackEvent``."""
    return f"callbacks/{prediction_id}/{event_type}.json"


def callback_attempt_key(prediction_id: PredictionId, attempt: int) -> str:
    """Object key of one line of a prediction's delivery log; ``attempt`` counts from 1."""
    return f"callbacks/{prediction_id}/{attempt}.json"


def promise_key(prediction_id: PredictionId) -> str:
    """Object key of the one decision whether a prediction's result will be fetched later."""
    return f"accepted/{prediction_id}.json"


def shadow_prefix(model: str, version: str) -> str:
    """What the keys of all comparisons of one shadow start with."""
    return f"shadows/{model}/{version}/"


def shadow_key(model: str, version: str, prediction_id: PredictionId) -> str:
    """Object key of how one shadow's labels compare with those that the client got."""
    return f"{shadow_prefix(model, version)}{prediction_id}.json"


def idempotency_key(digest: str) -> str:
    """Object key of what was asked under an Idempotency-Key, told by the key's SHA-256."""
    return f"idempotency/{digest}.json"


CLAIMS_PREFIX = "claims/"
"""What the key of every claimed object starts with: the sweeper looks for it."""


def claim_key(prediction_id: PredictionId, sha256: str) -> str:
    """Object key of rows that are too large for a message: told by their content, so written once.

    The prediction's id is in it, so that the sweeper can ask what became of the prediction.
    """
    return f"{CLAIMS_PREFIX}{prediction_id}/{sha256}"


def claimant(key: str) -> PredictionId:
    """The prediction whose rows the object ``key`` of ``CLAIMS_PREFIX`` holds."""
    return PredictionId(key.removeprefix(CLAIMS_PREFIX).partition("/")[0])


KEPT_PREFIXES = ("results/", "accepted/", "idempotency/", "callbacks/", "shadows/")
"""Prefixes of the object keys that are deleted when the time for which results are kept is over."""

CLAIM_DAYS = 30
"""A request may wait for SQS's fourteen days and then lie as a dead letter for as long again."""
