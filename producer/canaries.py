"""Watches canaries, and ends one that fails or is slow: here at once, in the registry as well.

Every replica watches what it answers itself. The first that finds a canary too bad ends it for all:
the others see it at their next look at the registry.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from common.errors import CarimboError
from common.messages import Completed, FailureCode, PredictionReply, PredictionRequest
from common.registry import Alias, Registry
from common.registry.routing import Canary, stop_canary
from producer.catalogue import Catalogue, Selector
from producer.metrics import Metrics
from producer.outcomes import Breach, Window, judge
from producer.routing import Crossroads

THE_FILES_FAULT = frozenset(
    {FailureCode.UNPROCESSABLE, FailureCode.CANCELLED, FailureCode.PREDICTION_ID_REUSED}
)
"""Failures that say nothing about the version that was asked."""

RETRY_SECONDS = 2.0

_log = structlog.get_logger("producer.canaries")


@dataclass(slots=True)
class _Watched:
    """One canary of one model, and what came of its files and of the champion's since."""

    canary: Canary
    canarys: Window = field(default_factory=Window)
    champions: Window = field(default_factory=Window)
    breach: Breach | None = None
    is_told: bool = False


class Canaries:
    """The canaries of all models, as the catalogue has them."""

    def __init__(self, catalogue: Catalogue, registry: Registry, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._metrics = metrics
        self._watched: dict[str, _Watched] = {}
        self._breached = asyncio.Event()

    def crossroads(self, model: str, selector: Selector, account: str | None) -> Crossroads | None:
        """What a request meets; None where it names a version, or no canary is in force."""
        known = self._catalogue.models.get(model)
        if known is None or known.canary is None or not selector.is_default:
            return None
        if self._watch(model, known.canary).breach is not None:
            return None
        return Crossroads(known.canary, known.versions[known.canary.version], account)

    def observe(
        self, request: PredictionRequest, result: PredictionReply | None, seconds: float
    ) -> None:
        """Take note of what somebody waited for; None for ``result`` means in vain."""
        known = self._catalogue.models.get(request.model)
        if known is None or known.canary is None:
            return
        if not isinstance(result, Completed) and result is not None:
            if result.code in THE_FILES_FAULT:
                return
            result = None
        watched = self._watch(request.model, known.canary)
        taken = None if result is None else seconds
        if request.version == known.canary.version:
            outcome = "failed" if result is None else "completed"
            self._metrics.canary_outcomes.labels(request.model, request.version, outcome).inc()
            watched.canarys.add(time.monotonic(), taken)
            self._judge(request.model, watched)
        elif request.alias == Alias.CHAMPION:
            watched.champions.add(time.monotonic(), taken)

    async def tell(self) -> None:
        """Write the canaries that ended here to the registry, for ever: it may be away."""
        while True:
            await self._breached.wait()
            self._breached.clear()
            for model, watched in list(self._watched.items()):
                if watched.breach is not None and not watched.is_told:
                    await self._stop(model, watched, watched.breach)
            if self._breached.is_set():
                await asyncio.sleep(RETRY_SECONDS)

    def _watch(self, model: str, canary: Canary) -> _Watched:
        watched = self._watched.get(model)
        if watched is None or watched.canary != canary:
            watched = self._watched[model] = _Watched(canary)
        return watched

    def _judge(self, model: str, watched: _Watched) -> None:
        if watched.breach is not None:
            return
        now = time.monotonic()
        breach = judge(watched.canarys.lately(now), watched.champions.lately(now))
        if breach is None:
            return
        watched.breach = breach
        version = watched.canary.version
        _log.error(
            "canary stopped", model=model, version=version, reason=breach.kind, found=breach.found
        )
        self._metrics.canary_stops.labels(model, version, breach.kind).inc()
        self._breached.set()

    async def _stop(self, model: str, watched: _Watched, breach: Breach) -> None:
        try:
            await stop_canary(
                self._registry,
                model,
                reason=breach.kind,
                found=breach.found,
                only=watched.canary,
            )
        except CarimboError as error:
            _log.warning("canary not stopped in the registry yet", model=model, code=error.code)
            self._breached.set()
        else:
            watched.is_told = True
