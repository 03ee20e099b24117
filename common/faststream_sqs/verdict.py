"""What becomes of a message whose handler failed: the decisions, without the acts.

Two errors are known (``common.errors``); anything else is a bug and is tried again until the
message's attempts are spent. A retry never comes at once: visibility 0 makes a poisonous message
spin through every worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from faststream import AckPolicy

from common.errors import CarimboError, PermanentError, TransientError

FIRST_BACK_OFF_SECONDS = 1
LONGEST_BACK_OFF_SECONDS = 300
LONGEST_VISIBILITY_SECONDS = 43_200


@dataclass(frozen=True, slots=True)
class Retry:
    """Release the message: it is received again after ``delay_seconds`` (at least 1)."""

    delay_seconds: int


@dataclass(frozen=True, slots=True)
class Bury:
    """Move the message to the dead-letter queue with its reason, then delete it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The ack policy gives the message up: no other attempt follows."""


Verdict = Retry | Bury | Drop


def verdict_of(
    error: Exception, policy: AckPolicy, *, receive_count: int, max_receive_count: int
) -> Verdict:
    """Return what to do after ``error``, on the message's ``receive_count``-th attempt (from 1)."""
    if policy in {AckPolicy.ACK, AckPolicy.ACK_FIRST}:
        return Drop()
    if isinstance(error, PermanentError):
        return Bury(error.code, error.message)
    if policy is AckPolicy.REJECT_ON_ERROR:
        return Bury(_code(error), _reason(error))
    if receive_count >= max_receive_count:
        return Bury(_code(error), f"All {receive_count} attempts failed. Last: {_reason(error)}")
    if isinstance(error, TransientError):
        return Retry(bounded_delay(error.delay_seconds))
    return Retry(back_off_seconds(receive_count))


def back_off_seconds(receive_count: int) -> int:
    """Return 1, 2, 4, ... up to 300 seconds, for the 1st, 2nd, 3rd attempt."""
    doublings = min(max(receive_count, 1) - 1, LONGEST_BACK_OFF_SECONDS.bit_length())
    return min(FIRST_BACK_OFF_SECONDS << doublings, LONGEST_BACK_OFF_SECONDS)


def bounded_delay(seconds: float) -> int:
    """Return whole seconds that SQS accepts and that never mean "at once"."""
    return min(max(ceil(seconds), FIRST_BACK_OFF_SECONDS), LONGEST_VISIBILITY_SECONDS)


def _code(error: Exception) -> str:
    return error.code if isinstance(error, CarimboError) else "internal"


def _reason(error: Exception) -> str:
    """A bug's own text may quote the data it choked on; its type may not."""
    return error.message if isinstance(error, CarimboError) else type(error).__name__
