"""What the service tells Prometheus: its labels are fixed words, never a host or a URL."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ATTEMPT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Seconds, up to the time-out of an attempt."""

ATTEMPT_SECONDS = Histogram(
    "carimbo_callbacks_attempt_seconds",
    "Time of one call of a receiver, by its status class or by why it gave no answer.",
    ["outcome"],
    buckets=ATTEMPT_BUCKETS,
)
ENDS = Counter(
    "carimbo_callbacks_ends_total",
    "Callbacks by how they ended: delivered, or why they were buried.",
    ["end"],
)
POSTPONED = Counter(
    "carimbo_callbacks_postponed_total",
    "Callbacks given back to the queue: failed, not due yet, or their host was busy.",
    ["reason"],
)
IN_FLIGHT = Gauge("carimbo_callbacks_in_flight", "Calls of receivers that are under way.")
