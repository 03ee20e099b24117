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


def reply_queue_prefix(prefix: str) -> str:
    """What every reply queue's name starts with: the sweeper looks for it."""
    return f"{prefix}replies-"


def new_reply_queue(prefix: str) -> str:
    """Name for one replica's reply queue. SQS refuses a name again for 60 s: never reused."""
    return f"{reply_queue_prefix(prefix)}{uuid4().hex}"


def result_key(prediction_id: PredictionId) -> str:
    """Object key of a prediction's one terminal result."""
    return f"results/{prediction_id}.json"
