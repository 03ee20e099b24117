"""What the routes stand on, and how a route finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from litestar import Request

from producer.catalogue import Catalogue
from producer.health import Check
from producer.metrics import Metrics
from producer.service import PredictionService
from producer.stored import StoredPredictions

STATE_KEY = "parts"

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that outlives a request."""

    service: PredictionService
    stored: StoredPredictions
    catalogue: Catalogue
    metrics: Metrics
    checks: Mapping[str, Check]
    default_wait: timedelta


def parts_of(request: AnyRequest) -> Parts:
    """The parts of the application that answers ``request``."""
    parts: Parts = request.app.state[STATE_KEY]
    return parts
