"""What a worker tells Prometheus: its labels are fixed words and names from the registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds. Fine below ten milliseconds, where the stages are; one second is the promise."""

STAGE_SECONDS = Histogram(
    "carimbo_consumer_stage_seconds",
    "Time of one stage of one prediction request.",
    ["model", "stage"],
    buckets=STAGE_BUCKETS,
)
PREDICT_CPU_SECONDS = Counter(
    "carimbo_consumer_predict_cpu_seconds",
    "CPU time inside the trees themselves: the rest of the process is what serving costs.",
    ["model"],
)
OUTCOMES = Counter(
    "carimbo_consumer_outcomes_total",
    "Prediction requests by how they ended.",
    ["model", "outcome"],
)
IN_FLIGHT = Gauge(
    "carimbo_consumer_in_flight", "Prediction requests that are being worked on.", ["model"]
)
VERSIONS_LOADED = Gauge(
    "carimbo_consumer_version_loaded", "1 for each model version in memory.", ["model", "version"]
)
VERSION_SERVED = Gauge(
    "carimbo_consumer_alias_version",
    "1 for the version that an alias leads to here.",
    ["model", "alias", "version"],
)
SHADOW_PREDICTIONS = Counter(
    "carimbo_shadow_predictions_total",
    "Copies that a shadow took on, by how they ended.",
    ["model", "version", "outcome"],
)
SHADOW_ROWS = Counter(
    "carimbo_shadow_rows_total",
    "Rows that a shadow labelled, by whether the client got the same label.",
    ["model", "version", "outcome"],
)
LOAD_FAILURES = Counter(
    "carimbo_consumer_load_failures_total",
    "Model versions that an alias points to and that could not be loaded.",
    ["model"],
)
