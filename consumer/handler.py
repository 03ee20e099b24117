"""One request: is it still awaited, was it answered before, which version, which labels.

The queue's message is deleted by the broker after this returns, and so only when the result is
durable and the reply is sent. What is raised here decides what becomes of the message: a permanent
error buries it with its reason, ``UnsettledError`` only ever brings it back, anything else brings
it back until its attempts are spent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import structlog
from opentelemetry import trace

from common.claims import Claims
from common.errors import CarimboError, PermanentError, TransientError
from common.messages import (
    ANSWERED,
    Claim,
    Completed,
    Failed,
    FailureCode,
    PredictionReply,
    PredictionRequest,
)
from common.telemetry import prediction_in_logs
from consumer.aliases import Aliases
from consumer.attempt import Attempt, UnsettledError, back_off_seconds, settling
from consumer.deadline import QueueClock, Verdict, decide
from consumer.metrics import IN_FLIGHT, OUTCOMES, STAGE_SECONDS
from consumer.orders import CallbackOrders
from consumer.prediction import Prediction, Predictor
from consumer.results import Results, failed
from consumer.served_model import ServedModel
from consumer.version_cache import VersionCache

LARGE_CLAIM_BYTES = 8 * 1024 * 1024
"""Rows above this are in the memory of one request at a time: a few files would fill a worker's."""

log = structlog.get_logger(__name__)
_results: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)


class Predictions:
    """Answers requests. Everything it is made of is shared by all requests of the process."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a prediction is made of
        self,
        aliases: Aliases,
        cache: VersionCache,
        predictor: Predictor,
        results: Results,
        orders: CallbackOrders,
        claims: Claims,
    ) -> None:
        self._aliases = aliases
        self._cache = cache
        self._predictor = predictor
        self._results = results
        self._orders = orders
        self._claims = claims
        self._large = asyncio.Lock()
        self._clock = QueueClock()

    async def answer(self, request: PredictionRequest, attempt: Attempt) -> None:
        """Label a file, keep the result and tell it.

        Raises:
            PermanentError: answered with the reason; the message is to be buried.
            UnsettledError: what became of it is not certain; the message has to come back.
            TransientError: try again later, while attempts are left.
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
                kind = UnsettledError if isinstance(error, UnsettledError) else TransientError
                pause = back_off_seconds(attempt.delivery.receive_count)
                raise kind(error.code, error.message, delay_seconds=pause) from error

    async def _work(self, request: PredictionRequest, attempt: Attempt) -> None:
        looks = request.keep or not attempt.is_first
        if looks and await self._told_again(request, attempt):
            return
        if attempt.is_beyond:
            await self._refuse(request, attempt, _exhausted(attempt))
            return
        age_ms = self._clock.age_ms(attempt.delivery, time.monotonic())
        verdict = decide(budget_ms=attempt.budget_ms, age_ms=age_ms, keep=request.keep)
        if verdict is Verdict.EXPIRED:
            if await self._lapses(request, attempt):
                await self._settle(request, _expired(request, attempt, age_ms), attempt)
                return
            # Its caller was told to come back for the result, and may have cancelled since.
            request = msgspec.structs.replace(request, keep=True)
            if await self._told_again(request, attempt):
                return
        await self._try(request, attempt, age_ms)

    async def _try(self, request: PredictionRequest, attempt: Attempt, age_ms: float) -> None:
        try:
            reply = await self._predict(request, age_ms)
        except PermanentError as error:
            is_lost = error.code == FailureCode.CLAIM_LOST
            if is_lost and await self._told_again(request, attempt):
                return  # a late delivery of what was answered long ago
            await self._refuse(request, attempt, error)
        except Exception as error:
            if attempt.is_last:
                await self._give_up(request, attempt, error)
            raise
        else:
            await self._settle(request, reply, attempt)

    async def _lapses(self, request: PredictionRequest, attempt: Attempt) -> bool:
        """Whether nobody waits, decided for good; what may have been told already never lapses.

        The labels of a new id are told beside the store. An earlier delivery may have told them
        and died before they were durable: then they have to be made again, however late.
        """
        with settling():
            if request.fresh_id and not attempt.is_first:
                return await self._results.has_lapsed(request)
            return await self._results.lapse(request)

    async def _told_again(self, request: PredictionRequest, attempt: Attempt) -> bool:
        """What was decided before is told again, and changes nothing.

        Raises:
            PermanentError: what was decided is to bury the message, and that was not done.
        """
        with settling():
            earlier = await self._results.earlier(request)
            if earlier is None:
                return False
            await attempt.tell(earlier)
            await self._orders.order(request, earlier)
        OUTCOMES.labels(request.model, "repeated").inc()
        log.info("prediction_repeated", receive_count=attempt.delivery.receive_count)
        result = _results.decode(earlier)
        if isinstance(result, Failed) and result.code not in ANSWERED:
            raise PermanentError(result.code, result.message)
        return True

    async def _predict(self, request: PredictionRequest, age_ms: float) -> PredictionReply:
        served = await self._version(request)
        if request.claim is None:
            prediction = await self._predictor.predict(served, request)
            return _completed(request, served, prediction, age_ms)
        async with self._redeemable(request.claim):
            started = time.perf_counter()
            table = await self._claims.redeem(request.claim)
            redeemed = (time.perf_counter() - started) * 1000
            request = msgspec.structs.replace(
                request, lines=table.lines, violations=table.violations
            )
            prediction = await self._predictor.predict(served, request, table.columns)
            prediction.stages["redeem"] = redeemed
            return _completed(request, served, prediction, age_ms)

    @asynccontextmanager
    async def _redeemable(self, claim: Claim) -> AsyncIterator[None]:
        """Hold the one place for large rows while they are in memory; the lease goes on."""
        if claim.size <= LARGE_CLAIM_BYTES:
            yield
            return
        async with self._large:
            yield

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
        # Of a kept request the result may be there already: it can be cancelled at any time.
        is_new = request.fresh_id and attempt.is_first and not request.keep
        started = time.perf_counter()
        with settling():
            told = await self._results.settle(request, reply, attempt.tell, is_new=is_new)
            await self._orders.order(request, told)
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
        """The last attempt failed: the caller learns it before the message is buried."""
        message = (
            error.message
            if isinstance(error, CarimboError)
            else "The worker failed on this file every time; the operators can see why in its log."
        )
        await self._settle(request, failed(request, FailureCode.INTERNAL, message), attempt)


def _completed(
    request: PredictionRequest, served: ServedModel, prediction: Prediction, age_ms: float
) -> Completed:
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


def _expired(request: PredictionRequest, attempt: Attempt, age_ms: float) -> Failed:
    return failed(
        request,
        FailureCode.EXPIRED,
        f"After {age_ms:.0f} ms on its way nobody awaited the file any more; the budget "
        f"was {attempt.budget_ms} ms. Send it again, or ask to come back for the result.",
    )


def _exhausted(attempt: Attempt) -> PermanentError:
    return PermanentError(
        FailureCode.ATTEMPTS_EXHAUSTED,
        f"The file was taken on {attempt.attempts} times and no worker came to an end with it: "
        "they died, or could not reach what they need. The operators can see it and send it back.",
    )
