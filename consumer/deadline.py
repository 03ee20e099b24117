"""Whether a request is still awaited, on the queue's own clock and no other.

A request carries how long its caller waits (a relative budget), not until when: two hosts' wall
clocks differ. How old a request is follows from SQS's two stamps and this process's monotonic
clock. Every estimate errs towards "younger", so that work is never skipped while it is awaited.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What to do with a request."""

    PREDICT = "predict"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The stamps of one delivery. ``*_ms`` are SQS's; ``received_at`` is monotonic, in seconds."""

    sent_ms: int
    first_received_ms: int
    receive_count: int
    received_at: float


class QueueClock:
    """SQS's clock as seen from here: its distance to this process's monotonic clock.

    SQS stamps only a message's first delivery, so a redelivery does not say when it happened. Each
    first delivery tells how SQS's clock stood at a moment of ours; the time that the answer
    travelled makes the estimate lag, never lead.
    """

    def __init__(self) -> None:
        self._ahead_ms: float | None = None

    def age_ms(self, delivery: Delivery, now: float) -> float:
        """Milliseconds since the request was sent; ``now`` is monotonic, in seconds."""
        waited = max(0.0, delivery.first_received_ms - delivery.sent_ms)
        here = max(0.0, (now - delivery.received_at) * 1000)
        if delivery.receive_count <= 1:
            self._ahead_ms = delivery.first_received_ms - delivery.received_at * 1000
            return waited + here
        if self._ahead_ms is None:
            return waited + here
        return max(waited + here, now * 1000 + self._ahead_ms - delivery.sent_ms)


def decide(*, budget_ms: int | None, age_ms: float, keep: bool) -> Verdict:
    """Skip what nobody awaits any more, unless somebody comes for the result later (``keep``)."""
    if keep or budget_ms is None or age_ms < budget_ms:
        return Verdict.PREDICT
    return Verdict.EXPIRED


def budget_from(headers: dict[str, str]) -> int | None:
    """The caller's budget in milliseconds; None when it set none or set nonsense."""
    text = headers.get("budget_ms", "")
    return int(text) if text.isascii() and text.isdigit() else None
