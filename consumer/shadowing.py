"""A shadow's work: label a copy, lay it beside what the client got, keep the difference.

Nobody waits for it and nothing hangs on it: it never replies, never writes a result, and gives up
after the usual attempts without a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec
import structlog
from faststream.exceptions import NackMessage

from common.errors import CarimboError, PermanentError, TransientError
from common.messages import Completed, Failed, PredictionRequest
from common.objects import ObjectStore
from common.shadows import Comparison, Difference
from common.telemetry import prediction_in_logs
from common.topology import result_key, shadow_key
from consumer.attempt import Attempt, back_off_seconds
from consumer.metrics import IN_FLIGHT, SHADOW_PREDICTIONS, SHADOW_ROWS
from consumer.prediction import Prediction, Predictor
from consumer.results import JSON
from consumer.version_cache import VersionCache

log = structlog.get_logger(__name__)
_results: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)


class Shadowing:
    """Compares copies. Takes the place of ``handler.Predictions`` in a worker that looks on."""

    def __init__(self, cache: VersionCache, predictor: Predictor, store: ObjectStore) -> None:
        self._cache = cache
        self._predictor = predictor
        self._store = store

    async def answer(self, request: PredictionRequest, attempt: Attempt) -> None:
        """Compare one copy; one that cannot be compared now comes back, a few times.

        Raises:
            NackMessage: try again later.
        """
        model, version = request.model, request.version or ""
        with prediction_in_logs(request.prediction_id), IN_FLIGHT.labels(model).track_inprogress():
            try:
                outcome = await self._outcome(request, version)
            except TransientError as error:
                outcome = self._again_or(attempt, "unfinished", error)
            except CarimboError as error:
                log.warning("copy_not_compared", code=error.code, reason=error.message)
                outcome = "failed"
            except Exception as error:
                log.exception("copy_not_compared", model=model, version=version)
                outcome = self._again_or(attempt, "failed", error)
        SHADOW_PREDICTIONS.labels(model, version, outcome).inc()

    async def _outcome(self, request: PredictionRequest, version: str) -> str:
        stored = await self._store.get(result_key(request.prediction_id))
        if stored is None:
            raise TransientError("no-result-yet", "The client's own result is not there yet.")
        primary = _results.decode(stored)
        if isinstance(primary, Failed) or primary.fingerprint != request.fingerprint:
            return "nothing-to-compare"
        served = await self._cache.get(request.model, version)
        found = compare(primary, version, await self._predictor.predict(served, request))
        key = shadow_key(request.model, version, request.prediction_id)
        if not await self._store.put_once(key, msgspec.json.encode(found), JSON):
            return "repeated"
        SHADOW_ROWS.labels(request.model, version, "agreed").inc(found.agreed)
        SHADOW_ROWS.labels(request.model, version, "differed").inc(found.rows - found.agreed)
        return "compared"

    def _again_or(self, attempt: Attempt, outcome: str, error: Exception) -> str:
        """Have the copy come back while attempts are left, else ``outcome``."""
        if attempt.is_last:
            return outcome
        delay = back_off_seconds(attempt.delivery.receive_count)
        raise NackMessage(delay_seconds=delay) from error


def compare(primary: Completed, version: str, shadow: Prediction) -> Comparison:
    """Lay a shadow's labels beside the client's.

    Raises:
        PermanentError: they are not of the same lines.
    """
    scores = shadow.scores
    if len(scores.labels) != len(primary.lines):
        raise PermanentError(
            "other-lines",
            f"The copy has {len(scores.labels)} lines and the client's result "
            f"{len(primary.lines)}: they were read under different contracts.",
        )
    differences = [
        Difference(
            line=line,
            label=label,
            confidence=confidence,
            shadow_label=shadow_label,
            shadow_confidence=shadow_confidence,
        )
        for line, label, confidence, shadow_label, shadow_confidence in zip(
            primary.lines,
            primary.labels,
            primary.confidences,
            scores.labels,
            scores.confidences,
            strict=True,
        )
        if label != shadow_label
    ]
    return Comparison(
        prediction_id=primary.prediction_id,
        model=primary.model,
        version=version,
        primary_version=primary.version,
        rows=len(primary.lines),
        agreed=len(primary.lines) - len(differences),
        confidence=_mean(primary.confidences),
        shadow_confidence=_mean(scores.confidences),
        differences=differences,
        stages={stage: round(spent, 3) for stage, spent in shadow.stages.items()},
    )


def _mean(confidences: Sequence[float]) -> float:
    return round(fmean(confidences), 4)
