"""One delivery of a request: whether it is the last, and what failing at it means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from common.errors import TransientError
from consumer.deadline import Delivery
from consumer.results import Tell

LONGEST_BACK_OFF_SECONDS = 300


class UnsettledError(TransientError):
    """What became of the request is not durable or not told yet: it must come back, however often.

    Burying it now would leave its client waiting for ever.
    """


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a request: its stamps, what its sender said, and how to answer it.

    ``attempts`` is how often a request is tried; a delivery beyond them is not worked on.
    """

    delivery: Delivery
    budget_ms: int | None
    attempts: int
    tell: Tell

    @property
    def is_first(self) -> bool:
        """Whether nobody received the request before."""
        return self.delivery.receive_count <= 1

    @property
    def is_last(self) -> bool:
        """Whether a failure of this attempt is final."""
        return self.delivery.receive_count >= self.attempts

    @property
    def is_beyond(self) -> bool:
        """Whether every attempt was begun already: workers died, or could not say what became."""
        return self.delivery.receive_count > self.attempts


@contextmanager
def settling() -> Iterator[None]:
    """Tell an error of the store or the queue apart from one of the work itself."""
    try:
        yield
    except TransientError as error:
        raise UnsettledError(error.code, error.message) from error


def back_off_seconds(receive_count: int) -> int:
    """1, 4, 16, 64, ... up to 300 s: five attempts bridge an outage of a minute and a half."""
    fourfold = min(max(receive_count, 1) - 1, LONGEST_BACK_OFF_SECONDS.bit_length())
    return min(1 << 2 * fourfold, LONGEST_BACK_OFF_SECONDS)
