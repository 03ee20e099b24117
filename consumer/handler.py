"""One request: is it still awaited, was it answered before, which version, which labels.

The queue's message is deleted by the broker after this returns, and so only when the result is
durable and the reply is sent. What is raised here decides what becomes of the message: a permanent
error buries it with its reason, anything else brings it back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from opentelemetry import trace

from common.errors import CarimboError, PermanentError, TransientError
from common.messages import (
    Completed,
    FailureCode,
    PredictionReply,
    PredictionRequest,
)
from common.telemetry import prediction_in_logs
from consumer.aliases import Aliases
from consumer.deadline import Delivery, QueueClock, Verdict, decide
from consumer.metrics import IN_FLIGHT, OUTCOMES, STAGE_SECONDS
from consumer.prediction import Predictor
from consumer.results import Results, Tell, failed
from consumer.served_model import ServedModel
from consumer.version_cache import VersionCache

ANSWERED = frozenset({FailureCode.UNKNOWN_VERSION, FailureCode.EXPIRED})
"""Failures that are an answer to the caller and nothing for an operator to look at."""

LONGEST_BACK_OFF_SECONDS = 300

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a request: its stamps, what its sender said, and how to answer it."""

    delivery: Delivery
    budget_ms: int | None
    is_last: bool
    tell: Tell


class Predictions:
    """Answers requests. Everything it is made of is shared by all requests of the process."""

    def __init__(
        self, aliases: Aliases, cache: VersionCache, predictor: Predictor, results: Results
    ) -> None:
        self._aliases = aliases
        self._cache = cache
        self._predictor = predictor
        self._results = results
        self._clock = QueueClock()

    async def answer(self, request: PredictionRequest, attempt: Attempt) -> None:
        """Label a file, keep the result and tell it.

        Raises:
            PermanentError: answered with the reason; the message is to be buried.
            TransientError: try again later.
        """
        with (
            prediction_in_logs(request.prediction_id),
            IN_FLIGHT.labels(request.model).track_inprogress(),
        ):
            trace.get_current_span().set_attributes(
                {"carimbo.prediction_id": request.prediction_id, "carimbo.model": request.model}
            )
            try:
                await self._work(request, attempt)
            except TransientError as error:
                pause = back_off_seconds(attempt.delivery.receive_count)
                raise TransientError(error.code, error.message, delay_seconds=pause) from error

    async def _work(self, request: PredictionRequest, attempt: Attempt) -> None:
        if attempt.delivery.receive_count > 1 and await self._told_again(request, attempt):
            return
        try:
            reply = await self._reply(request, attempt)
        except PermanentError as error:
            await self._refuse(request, attempt, error)
        except Exception as error:
            if attempt.is_last:
                await self._give_up(request, attempt, error)
            raise
        else:
            await self._settle(request, reply, attempt)

    async def _told_again(self, request: PredictionRequest, attempt: Attempt) -> bool:
        """A redelivery changes nothing: what was decided before is told again."""
        earlier = await self._results.earlier(request)
        if earlier is None:
            return False
        await attempt.tell(earlier)
        OUTCOMES.labels(request.model, "repeated").inc()
        log.info("prediction_repeated", receive_count=attempt.delivery.receive_count)
        return True

    async def _reply(self, request: PredictionRequest, attempt: Attempt) -> PredictionReply:
        age_ms = self._clock.age_ms(attempt.delivery, time.monotonic())
        verdict = decide(budget_ms=attempt.budget_ms, age_ms=age_ms, keep=request.keep)
        if verdict is Verdict.EXPIRED:
            return failed(
                request,
                FailureCode.EXPIRED,
                f"After {age_ms:.0f} ms on its way nobody awaited the file any more; the budget "
                f"was {attempt.budget_ms} ms. Send it again, or ask to come back for the result.",
            )
        served = await self._version(request)
        prediction = await self._predictor.predict(served, request)
        stages = {"queue": age_ms, **prediction.stages}
        return Completed(
            prediction_id=request.prediction_id,
            model=request.model,
            version=served.version,
            fingerprint=request.fingerprint,
            rows_read=request.rows_read,
            lines=request.lines,
            labels=prediction.scores.labels,
            confidences=prediction.scores.confidences,
            violations=request.violations,
            stages={stage: round(spent, 3) for stage, spent in stages.items()},
            dialect=request.dialect,
        )

    async def _version(self, request: PredictionRequest) -> ServedModel:
        if request.version is not None:
            return await self._cache.get(request.model, request.version)
        if request.alias is None:
            raise PermanentError(
                FailureCode.UNPROCESSABLE,
                "The request names neither a version nor an alias; exactly one is needed.",
            )
        return await self._aliases.find(request.model, request.alias, request.contract)

    async def _settle(
        self, request: PredictionRequest, reply: PredictionReply, attempt: Attempt
    ) -> None:
        is_new = request.fresh_id and attempt.delivery.receive_count == 1
        started = time.perf_counter()
        await self._results.settle(request, reply, attempt.tell, is_new=is_new)
        stages = reply.stages if isinstance(reply, Completed) else {}
        for stage, spent_ms in stages.items():
            STAGE_SECONDS.labels(request.model, stage).observe(spent_ms / 1000)
        STAGE_SECONDS.labels(request.model, "settle").observe(time.perf_counter() - started)
        outcome = "completed" if isinstance(reply, Completed) else reply.code
        OUTCOMES.labels(request.model, outcome).inc()

    async def _refuse(
        self, request: PredictionRequest, attempt: Attempt, error: PermanentError
    ) -> None:
        """Answer with the reason; raise it again when an operator should see the message."""
        code = error.code if error.code in set(FailureCode) else FailureCode.INTERNAL
        await self._settle(request, failed(request, code, error.message), attempt)
        if code in ANSWERED:
            return
        log.warning("prediction_failed", code=code, reason=error.message)
        raise error

    async def _give_up(
        self, request: PredictionRequest, attempt: Attempt, error: Exception
    ) -> None:
        """The last attempt failed: the caller learns it, if anything still works."""
        message = (
            error.message
            if isinstance(error, CarimboError)
            else "The worker failed on this file every time; the operators can see why in its log."
        )
        try:
            await self._settle(request, failed(request, FailureCode.INTERNAL, message), attempt)
        except CarimboError as another:
            log.warning("failure_not_told", code=another.code, reason=another.message)


def back_off_seconds(receive_count: int) -> int:
    """1, 4, 16, 64, ... up to 300 s: five attempts bridge an outage of a minute and a half."""
    fourfold = min(max(receive_count, 1) - 1, LONGEST_BACK_OFF_SECONDS.bit_length())
    return min(1 << 2 * fourfold, LONGEST_BACK_OFF_SECONDS)
