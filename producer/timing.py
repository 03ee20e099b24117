"""Where a prediction's time went, stage by stage, so that the stages add up to the total.

The same stages are the ``Server-Timing`` header of the answer and the labels of the histogram.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

QUEUE = "queue"
BROKER = "broker"
REPLY = "reply"
TOTAL = "total"


class Stopwatch:
    """Consecutive stages from one start: what one lap ends, the next begins with."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self.stages: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Charge the time since the last lap, in milliseconds, to ``stage``."""
        self.lap_divided(lambda elapsed: {stage: elapsed})

    def lap_divided(self, divide: Callable[[float], Mapping[str, float]]) -> None:
        """Charge the time since the last lap to the several stages that ``divide`` makes of it."""
        now = self._clock()
        for stage, milliseconds in divide((now - self._last) * 1000).items():
            self.stages[stage] = self.stages.get(stage, 0.0) + milliseconds
        self._last = now

    @property
    def elapsed_seconds(self) -> float:
        """Time since the start, whether or not a lap has been charged with it."""
        return self._clock() - self._started


def divide_wait(
    wait_ms: float, worker_stages: Mapping[str, float], *, reply_queue_ms: float
) -> dict[str, float]:
    """Divide the wait for a reply into the worker's stages, the way back, and the broker's rest.

    The queue's clock ticks in whole milliseconds and is not ours, so the parts may claim more than
    there is: what is claimed first (the worker's own stages, the clocks' last) is granted first,
    and the sum is exactly ``wait_ms``.
    """
    claims = {name: value for name, value in worker_stages.items() if name not in (QUEUE, TOTAL)}
    claims[QUEUE] = worker_stages.get(QUEUE, 0.0)
    claims[REPLY] = reply_queue_ms
    granted: dict[str, float] = {}
    left = max(wait_ms, 0.0)
    for name, claimed in claims.items():
        granted[name] = min(max(claimed, 0.0), left)
        left -= granted[name]
    granted[BROKER] = left
    return granted


def server_timing(stages: Mapping[str, float]) -> str:
    """The stages in milliseconds and their sum, as a ``Server-Timing`` header value."""
    parts = [f"{_metric_name(name)};dur={value:.3f}" for name, value in stages.items()]
    parts.append(f"{TOTAL};dur={sum(stages.values()):.3f}")
    return ", ".join(parts)


def _metric_name(stage: str) -> str:
    """``stage`` as an HTTP token: a worker's stage name is its own choice."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in stage) or "-"
