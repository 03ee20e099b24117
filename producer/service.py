"""One prediction from upload to answer: the order of the steps, and what each is charged with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import structlog
from opentelemetry.trace import Tracer

from common.callbacks import CallbackPolicy, check_callback_url
from common.claims import Claims
from common.errors import CarimboError, TransientError
from common.messages import Completed, PredictionRequest
from producer.answering import Answer, Answers
from producer.canaries import Canaries
from producer.catalogue import Catalogue, CatalogueModel, Selector, find
from producer.dispatch import Dispatch, Outcome, Source
from producer.exchange import Exchange
from producer.following import Followers
from producer.idempotency import Keys
from producer.large_files import LargeFiles, Spool
from producer.metrics import Metrics
from producer.preferences import Preferences
from producer.problems import code_of
from producer.reading import Asked, FileReader, Prepared, Rows
from producer.records import Pending, Records, refuse_reuse
from producer.shadows import Shadows
from producer.stored import pending_answer
from producer.timing import divide_wait
from producer.uploads import UploadHeaders, read_upload
from producer.waits import Admission

UNKNOWN_MODEL = "(unknown)"
UNSENT_AFTER_SECONDS = 2.0
"""So long after its key was taken, a request of which nothing is known was never sent."""

_log = structlog.get_logger("producer.service")


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asked for, its file apart: that is still on the wire."""

    model: str
    selector: Selector
    preferences: Preferences
    headers: UploadHeaders
    idempotency_key: str | None = None
    callback_url: str | None = None
    account: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether somebody comes for the result, or gets it, also when nobody waits any more."""
        return (
            self.preferences.respond_async
            or self.idempotency_key is not None
            or self.callback_url is not None
        )


class PredictionService:
    """Labels files, each of at most ``max_upload_bytes``."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        catalogue: Catalogue,
        reader: FileReader,
        dispatch: Dispatch,
        records: Records,
        keys: Keys,
        claims: Claims,
        large: LargeFiles,
        answers: Answers,
        followers: Followers,
        admission: Admission,
        canaries: Canaries,
        shadows: Shadows,
        callbacks: CallbackPolicy,
        metrics: Metrics,
        tracer: Tracer,
        max_upload_bytes: int,
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._dispatch = dispatch
        self._records = records
        self._keys = keys
        self._claims = claims
        self._large = large
        self._answers = answers
        self._followers = followers
        self._admission = admission
        self._canaries = canaries
        self._shadows = shadows
        self._callbacks = callbacks
        self._metrics = metrics
        self._tracer = tracer
        self._max_upload_bytes = max_upload_bytes
        self._promising: set[asyncio.Task[None]] = set()

    async def label(self, order: Order, body: AsyncIterator[bytes], exchange: Exchange) -> Answer:
        """The answer to a file; the exchange's stopwatch holds its stages.

        Raises:
            PermanentError: the file, or what was asked of it, cannot be answered.
            TransientError: a part is away, or the file could not be answered in time.
        """
        known = order.model if order.model in self._catalogue.models else UNKNOWN_MODEL
        with (
            self._counted(known),
            self._admission.admitted(known, order.preferences),
            self._large.spool() as spool,
        ):
            prepared = await self._read(order, body, exchange, spool)
            outcome = await self._outcome(order, prepared, exchange, spool)
            if outcome is None:
                exchange.stopwatch.lap("wait")
                self._metrics.count_accepted(known)
                identity = exchange.accepted_id()
                return pending_answer(identity, self._admission.retry_seconds(known))
            return await self._answer(known, outcome, exchange)

    async def finish(self) -> None:
        """Wait for promises that are still being written down."""
        await asyncio.gather(*self._promising, return_exceptions=True)
        await self._shadows.close()

    async def _read(
        self, order: Order, body: AsyncIterator[bytes], exchange: Exchange, spool: Spool
    ) -> Prepared:
        watch = exchange.stopwatch
        asked = Asked(
            exchange.accepted_id(),
            find(self._known_models(), order.model, order.selector),
            order.selector,
            order.preferences.handling,
            fresh_id=not exchange.id_from_client,
            keep=order.is_kept,
            callback_url=self._callback(order.callback_url),
            crossroads=self._canaries.crossroads(order.model, order.selector, order.account),
        )
        upload = await read_upload(
            body, order.headers, max_bytes=self._max_upload_bytes, spool=spool
        )
        watch.lap("upload")
        with self._tracer.start_as_current_span("read", record_exception=False):
            return await self._reader.read(upload, asked, watch, spool)

    def _callback(self, url: str | None) -> str | None:
        return None if url is None else str(check_callback_url(url, self._callbacks))

    async def _outcome(
        self, order: Order, prepared: Prepared, exchange: Exchange, spool: Spool
    ) -> Outcome | None:
        """The result, or None when it is fetched later."""
        request = prepared.request
        if order.idempotency_key is not None:
            meant = await self._keys.meaning(order.idempotency_key, request)
            if meant != request.prediction_id:
                exchange.prediction_id, exchange.is_replayed = meant, True
                request = msgspec.structs.replace(request, prediction_id=meant, fresh_id=False)
                state = await self._followers.known(meant, UNSENT_AFTER_SECONDS)
                if state is not None:
                    return await self._join(order, request, exchange)
        is_own_id = exchange.id_from_client and not exchange.is_replayed
        if is_own_id and await self._records.holds(request):
            return await self._join(order, request, exchange)
        if prepared.rows is not None:
            request = await self._checked_in(request, prepared.rows)
            exchange.stopwatch.lap("check-in")
        spool.close()  # others may need the place while this one waits
        wait_seconds = order.preferences.wait.total_seconds() - exchange.stopwatch.elapsed_seconds
        if wait_seconds <= 0:
            return await self._send(msgspec.structs.replace(request, keep=True))
        outcome = await self._ask(request, wait_seconds)
        if outcome is None:
            return await self._promise(request)
        result = outcome.result
        stages = result.stages if isinstance(result, Completed) else {}
        exchange.stopwatch.lap_divided(
            lambda waited: divide_wait(waited, stages, reply_queue_ms=outcome.reply_queue_ms)
        )
        return outcome

    async def _checked_in(self, request: PredictionRequest, rows: Rows) -> PredictionRequest:
        """The request with a claim on its rows, under the id that it is sent by."""
        claim = await self._claims.check_in(
            request.prediction_id, rows.file, sha256=rows.sha256, size=rows.size
        )
        return msgspec.structs.replace(request, claim=claim)

    async def _join(
        self, order: Order, request: PredictionRequest, exchange: Exchange
    ) -> Outcome | None:
        """Wait for work that an earlier request began."""
        left = order.preferences.wait.total_seconds() - exchange.stopwatch.elapsed_seconds
        state = await self._followers.settled(request.prediction_id, left)
        exchange.stopwatch.lap("follow")
        if state is None or isinstance(state, Pending):
            return None
        return Outcome(state, Source.STORE)

    async def _ask(self, request: PredictionRequest, wait_seconds: float) -> Outcome | None:
        meter = self._admission.meter(request.model)
        sent = meter.sent()
        started = time.monotonic()
        is_measured = False
        try:
            outcome = await self._dispatch.ask(
                request, wait_seconds, sent=lambda: self._begin_beside(request)
            )
            result = None if outcome is None else outcome.result
            self._canaries.observe(request, result, time.monotonic() - started)
            meter.ended(sent, is_answered=outcome is not None)
            is_measured = True
        finally:
            if not is_measured:
                meter.dropped()
        return outcome

    async def _send(self, request: PredictionRequest) -> Outcome | None:
        self._admission.meter(request.model).sent(is_awaited=False)
        await self._dispatch.send(request)
        self._shadows.copy(request)
        return await self._promise(request)

    async def _promise(self, request: PredictionRequest) -> Outcome | None:
        """Promise the result of what was sent; the result itself, if it came in between.

        The promise is made only after the queue has the request: nobody is ever promised what
        nothing works on.
        """
        await self._records.promise(request)
        if request.keep and request.fresh_id:
            return None
        result = await self._records.result(request.prediction_id)
        if result is None:
            return None
        refuse_reuse(request, result)
        return Outcome(result, Source.STORE)

    def _begin_beside(self, request: PredictionRequest) -> None:
        """The queue has the request: what goes on beside the wait for its result."""
        self._shadows.copy(request)
        self._promise_beside(request)

    def _promise_beside(self, request: PredictionRequest) -> None:
        """Promise a kept result while its caller waits: should the caller leave, it is known."""
        if not request.keep:
            return
        promise = asyncio.create_task(self._records.promise(request))
        self._promising.add(promise)
        promise.add_done_callback(self._promised)

    def _promised(self, promise: asyncio.Task[None]) -> None:
        self._promising.discard(promise)
        error = None if promise.cancelled() else promise.exception()
        if isinstance(error, CarimboError):  # promised again, and told, should the wait run out
            _log.warning("promise not kept yet", code=error.code)
        elif error is not None:
            _log.error("promise failed", exc_info=error)

    async def _answer(self, model: str, outcome: Outcome, exchange: Exchange) -> Answer:
        answer, counts = await self._answers.of(outcome.result)
        exchange.stopwatch.lap("answer")
        self._metrics.observe_stages(model, exchange.stopwatch.stages, exchange.span)
        self._metrics.count_completed(
            model,
            labelled=counts.labelled,
            rejected=counts.rejected,
            source=outcome.source,
        )
        return answer

    def _known_models(self) -> Mapping[str, CatalogueModel]:
        if not self._catalogue.loaded:
            raise TransientError(
                "unavailable",
                "The registry has not answered yet, so no model is known; come back shortly.",
            )
        return self._catalogue.models

    @contextmanager
    def _counted(self, model: str) -> Iterator[None]:
        """Count a request that ends in a problem under the problem's code."""
        try:
            yield
        except Exception as error:
            self._metrics.count_problem(model, code_of(error))
            raise
