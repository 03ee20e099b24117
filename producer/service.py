"""One prediction from upload to answer: the order of the steps, and what each is charged with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from opentelemetry.trace import Tracer

from common.errors import PermanentError, TransientError
from common.messages import Completed, Failed, PredictionId, PredictionReply
from producer.answers import answer_of
from producer.catalogue import Catalogue, CatalogueModel, Selector, find
from producer.dispatch import Dispatch, Outcome
from producer.exchange import Exchange
from producer.metrics import Metrics
from producer.preferences import Preferences
from producer.problems import FailedPredictionError, code_of
from producer.reading import Asked, FileReader
from producer.timing import divide_wait
from producer.uploads import UploadHeaders, read_upload

UNKNOWN_MODEL = "(unknown)"

_encoder = msgspec.json.Encoder(decimal_format="string")


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asked for, its file apart: that is still on the wire."""

    model: str
    selector: Selector
    preferences: Preferences
    headers: UploadHeaders


class PredictionService:
    """Labels files. ``most_in_flight`` bounds the files held, ``max_upload_bytes`` each of them."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        catalogue: Catalogue,
        reader: FileReader,
        dispatch: Dispatch,
        metrics: Metrics,
        tracer: Tracer,
        most_in_flight: int,
        max_upload_bytes: int,
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._dispatch = dispatch
        self._metrics = metrics
        self._tracer = tracer
        self._most_in_flight = most_in_flight
        self._max_upload_bytes = max_upload_bytes
        self._in_flight = 0

    async def label(self, order: Order, body: AsyncIterator[bytes], exchange: Exchange) -> bytes:
        """The encoded answer to a file; the exchange's stopwatch holds its stages.

        Raises:
            PermanentError: the file, or what was asked of it, cannot be answered.
            TransientError: a part is away, or too many files are in flight.
        """
        known = order.model if order.model in self._catalogue.models else UNKNOWN_MODEL
        with self._counted(known), self._admitted():
            outcome = await self._ask(order, body, exchange)
            return self._answer(known, outcome, exchange)

    async def stored(self, prediction_id: PredictionId) -> bytes:
        """The encoded answer as it was, or would have been, given at the time.

        Raises:
            PermanentError: nothing is stored, or the prediction failed.
            TransientError: the object store is away.
        """
        result = await self._dispatch.stored(prediction_id)
        if result is None:
            raise PermanentError(
                "unknown-prediction",
                f"No result is stored for prediction {prediction_id}; if it was sent just now, "
                "ask again shortly.",
            )
        return _encoder.encode(answer_of(_completed(result)))

    async def _ask(self, order: Order, body: AsyncIterator[bytes], exchange: Exchange) -> Outcome:
        watch = exchange.stopwatch
        asked = Asked(
            exchange.accepted_id(),
            find(self._known_models(), order.model, order.selector),
            order.selector,
            order.preferences.handling,
            fresh_id=not exchange.id_from_client,
        )
        upload = await read_upload(body, order.headers, max_bytes=self._max_upload_bytes)
        watch.lap("upload")
        with self._tracer.start_as_current_span("read", record_exception=False):
            request = await self._reader.read(upload, asked, watch)
        wait_seconds = order.preferences.wait.total_seconds() - watch.elapsed_seconds
        outcome = await self._dispatch.ask(request, wait_seconds)
        result = outcome.result
        stages = result.stages if isinstance(result, Completed) else {}
        watch.lap_divided(
            lambda waited: divide_wait(waited, stages, reply_queue_ms=outcome.reply_queue_ms)
        )
        return outcome

    def _answer(self, model: str, outcome: Outcome, exchange: Exchange) -> bytes:
        answer = answer_of(_completed(outcome.result))
        encoded = _encoder.encode(answer)
        exchange.stopwatch.lap("answer")
        self._metrics.observe_stages(model, exchange.stopwatch.stages, exchange.span)
        self._metrics.count_completed(
            model,
            labelled=answer.counts.labelled,
            rejected=answer.counts.rejected,
            source=outcome.source,
        )
        return encoded

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

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Hold one of the places for files in flight."""
        if self._in_flight >= self._most_in_flight:
            raise TransientError(
                "overloaded",
                f"{self._in_flight} files are in flight, as many as this replica takes; "
                "come back after Retry-After.",
            )
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)


def _completed(result: PredictionReply) -> Completed:
    if isinstance(result, Failed):
        raise FailedPredictionError(result)
    return result
