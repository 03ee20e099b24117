"""The producer's own measurements, for Prometheus: how many, how long, how full.

No label ever holds content: models are the registry's, outcomes are problem codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry.trace import Span, format_trace_id
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric

from producer.timing import TOTAL

STAGE_BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
)  # fmt: skip


class Metrics:
    """One set of instruments, in a Prometheus registry of its own.

    Itself a collector: of its instruments and of the process-wide ones (queues, process, platform).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            "carimbo_prediction_stage_seconds",
            "Time of one answered file by stage, as in its Server-Timing; total is their sum.",
            ["model", "stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self._predictions = Counter(
            "carimbo_predictions",
            "Prediction requests by outcome: completed, accepted (a 202), or a problem's code.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self._rows = Counter(
            "carimbo_rows",
            "Rows of answered files, labelled or rejected.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self._answered_from = Counter(
            "carimbo_answered_from",
            "Answered files by where the result came from: the reply, or the object store.",
            ["source"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "carimbo_predictions_in_flight",
            "Prediction requests being handled now.",
            registry=self.registry,
        )
        self.predicted_wait = Gauge(
            "carimbo_predicted_wait_seconds",
            "How long a file that is sent now would wait for its answer, as far as is known.",
            ["model"],
            registry=self.registry,
        )
        self.loop_lag = Gauge(
            "carimbo_event_loop_lag_seconds",
            "How late the event loop woke its last sleeper.",
            registry=self.registry,
        )
        self.routing_tags_ignored = Counter(
            "carimbo_routing_tags_ignored",
            "Tags of a model that should route its files and cannot be understood.",
            ["model", "tag"],
            registry=self.registry,
        )
        self.canary_outcomes = Counter(
            "carimbo_canary_predictions",
            "Files that a canary was asked to label while somebody waited, by how it ended.",
            ["model", "version", "outcome"],
            registry=self.registry,
        )
        self.canary_stops = Counter(
            "carimbo_canary_stops",
            "Canaries that this replica ended, by reason: errors or latency.",
            ["model", "version", "reason"],
            registry=self.registry,
        )
        self.shadow_copies = Counter(
            "carimbo_shadow_copies",
            "Copies for shadows: sent, or why they were dropped.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.catalogue_time = Gauge(
            "carimbo_catalogue_refreshed_timestamp_seconds",
            "When the registry was last read with success, in Unix time.",
            registry=self.registry,
        )

    def collect(self) -> Iterator[Metric]:
        """Every measurement of this process, for an exposition format's encoder."""
        yield from REGISTRY.collect()
        yield from self.registry.collect()

    def count_completed(self, model: str, *, labelled: int, rejected: int, source: str) -> None:
        """Count one file whose labels went out."""
        self._predictions.labels(model, "completed").inc()
        self._rows.labels(model, "labelled").inc(labelled)
        self._rows.labels(model, "rejected").inc(rejected)
        self._answered_from.labels(source).inc()

    def count_accepted(self, model: str) -> None:
        """Count one file whose result is fetched later."""
        self._predictions.labels(model, "accepted").inc()

    def count_problem(self, model: str, code: str) -> None:
        """Count one request that ended in the problem ``code``."""
        self._predictions.labels(model, code).inc()

    def observe_stages(self, model: str, stages: Mapping[str, float], span: Span) -> None:
        """Observe a file's stages (milliseconds) and their sum; a recorded trace is the example."""
        context = span.get_span_context()
        recorded = context.is_valid and context.trace_flags.sampled
        example = {"trace_id": format_trace_id(context.trace_id)} if recorded else None
        for stage, milliseconds in stages.items():
            self._stages.labels(model, stage).observe(milliseconds / 1000, example)
        self._stages.labels(model, TOTAL).observe(sum(stages.values()) / 1000, example)
