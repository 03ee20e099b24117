"""What a subscriber says about its queue."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_VISIBILITY_SECONDS = 30
DEFAULT_MAX_RECEIVE_COUNT = 5
LAST_RESORT_RECEIVE_COUNT = 200
"""For ``last_resort``: far above any number of attempts, and below SQS's bound of 1,000."""


@dataclass(frozen=True, slots=True)
class SQSQueue:
    """A queue, and the dead-letter queue where its failed messages are buried.

    ``dead_letter`` is that queue's name; without one a failed message is never deleted: it is
    released until the queue's own retention ends. ``visibility_seconds`` is how long a received
    message stays hidden once its worker is gone. ``max_receive_count`` is how often a message is
    tried: the last failure buries it with its reason. ``last_resort`` is after how many receives
    SQS itself moves a message there, without a reason: as many, unless told; a handler that answers
    for messages whose workers died every time sets it higher and gets those too. ``declare`` makes
    the queues when they are absent.
    """

    name: str
    dead_letter: str | None = None
    visibility_seconds: int = DEFAULT_VISIBILITY_SECONDS
    max_receive_count: int = DEFAULT_MAX_RECEIVE_COUNT
    last_resort: int | None = None
    declare: bool = True

    @classmethod
    def of(cls, queue: str | SQSQueue) -> SQSQueue:
        """Return ``queue`` itself, or the queue of that name with the defaults."""
        return queue if isinstance(queue, SQSQueue) else cls(queue)
