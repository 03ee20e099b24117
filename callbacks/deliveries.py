"""One order: what does the log say, is it due, call, write down, and say when to come back.

The order's message is deleted by the broker after this returns. A transient error brings it back
after its delay, a permanent one buries it with its reason. An attempt is written down before its
message is settled, so a process that dies here makes at worst the same attempt again, under the
same ``webhook-id``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import structlog
from opentelemetry import trace
from yarl import URL

from callbacks.events import body_of, message_id, read_result, type_of
from callbacks.hosts import HostTurns
from callbacks.metrics import ATTEMPT_SECONDS, ENDS, IN_FLIGHT, POSTPONED
from callbacks.posting import Outcome, Poster
from callbacks.schedule import Attempt, Bury, Delivered, Schedule, Wait, Wanted
from callbacks.signing import Secret, signed_headers
from common.callbacks import CallbackOrder
from common.callbacks.log import DeliveryLog
from common.callbacks.orders import CallbackAttempt, CallbackEvent
from common.errors import PermanentError, TransientError
from common.messages import PredictionReply
from common.objects import ObjectStore
from common.sqs.backoff import pause_seconds
from common.telemetry import prediction_in_logs
from common.topology import result_key

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
USER_AGENT = "Carimbo-Callbacks/1"

log = structlog.get_logger(__name__)
_tracer = trace.get_tracer("carimbo.callbacks")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the queue says of the order's message: when it was sent, how often handed out."""

    sent_at: datetime
    receive_count: int


class Deliveries:
    """Delivers orders. Everything it is made of is shared by all orders of the process."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        poster: Poster,
        schedule: Schedule,
        secrets: Sequence[Secret],
        hosts: HostTurns,
    ) -> None:
        self._store = store
        self._log = DeliveryLog(store)
        self._poster = poster
        self._schedule = schedule
        self._secrets = secrets
        self._hosts = hosts

    async def deliver(self, order: CallbackOrder, receipt: Receipt) -> None:
        """Deliver a callback, unless it is delivered or not due.

        Raises:
            PermanentError: no other attempt will be made; the message is to be buried.
            TransientError: try again later.
        """
        with prediction_in_logs(order.prediction_id):
            span = trace.get_current_span()
            span.set_attribute("carimbo.prediction_id", order.prediction_id)
            try:
                step = await self._work(order, receipt)
            except TransientError as error:
                # The store or the host: a matter of the queue, not of the receiver's schedule.
                POSTPONED.labels(error.code).inc()
                pause = pause_seconds(
                    receipt.receive_count,
                    first=FIRST_PAUSE_SECONDS,
                    longest=LONGEST_PAUSE_SECONDS,
                )
                raise TransientError(error.code, error.message, delay_seconds=pause) from error
            _conclude(step)

    async def _work(self, order: CallbackOrder, receipt: Receipt) -> Wait | Delivered | Bury:
        stored = await self._store.get(result_key(order.prediction_id))
        if stored is None:
            # The order follows the result, so the result was removed: by a redrive, which will
            # put another in its place, or because its time was over.
            raise TransientError("result-missing", "The prediction's result is not in the store.")
        result = read_result(stored)
        past = await self._log.read(order.prediction_id)
        event = CallbackEvent(type=type_of(result), url=order.url, at=receipt.sent_at)
        event = await self._log.event(order.prediction_id, event)
        wanted = Wanted(event.type, event.at, order.after)
        step = self._schedule.next_step(past, wanted, datetime.now(UTC))
        if not isinstance(step, Attempt):
            return step
        async with self._hosts.turn(_host_of(order.url)):
            attempt = await self._attempt(order, event, result, step.number)
        return self._schedule.after_attempt(attempt, made=step.made + 1)

    async def _attempt(
        self, order: CallbackOrder, event: CallbackEvent, result: PredictionReply, number: int
    ) -> CallbackAttempt:
        at = datetime.now(UTC)
        outcome = await self._call(order, event, result)
        self._hosts.report(_host_of(order.url), is_answering=outcome.status is not None)
        attempt = await self._log.add(
            order.prediction_id,
            CallbackAttempt(
                attempt=number,
                type=event.type,
                at=at,
                ms=outcome.ms,
                status=outcome.status,
                error=outcome.error,
            ),
        )
        log.info(
            "callback_attempted",
            attempt=attempt.attempt,
            type=event.type,
            status=outcome.status,
            error=outcome.error,
            ms=outcome.ms,
        )
        return attempt

    async def _call(
        self, order: CallbackOrder, event: CallbackEvent, result: PredictionReply
    ) -> Outcome:
        body = body_of(result, event.at)
        signed = signed_headers(
            body,
            message_id=message_id(order.prediction_id, event.type),
            timestamp=int(time.time()),
            secrets=self._secrets,
        )
        headers = {"content-type": "application/json", "user-agent": USER_AGENT, **signed}
        with IN_FLIGHT.track_inprogress(), _tracer.start_as_current_span("call receiver") as span:
            outcome = await self._poster.post(order.url, body, headers)
            span.set_attribute("carimbo.callback.outcome", _outcome_label(outcome))
        ATTEMPT_SECONDS.labels(_outcome_label(outcome)).observe(outcome.ms / 1000)
        return outcome


def _conclude(step: Wait | Delivered | Bury) -> None:
    """Tell the broker what becomes of the message."""
    if isinstance(step, Delivered):
        ENDS.labels("delivered").inc()
        return
    if isinstance(step, Bury):
        ENDS.labels(step.code).inc()
        _bury(step)
    POSTPONED.labels("not-due").inc()
    raise TransientError(
        "callback-not-due",
        "The receiver does not have it yet; the next attempt is due later.",
        delay_seconds=step.seconds,
    )


def _bury(step: Bury) -> NoReturn:
    raise PermanentError(step.code, step.reason)


def _host_of(url: str) -> str:
    """The host that shares places; a URL that cannot be read is refused before any call."""
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def _outcome_label(outcome: Outcome) -> str:
    return outcome.error or f"{(outcome.status or 0) // 100}xx"
