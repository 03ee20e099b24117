"""One subscriber a model, on the model's queue; all of a process share its slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog
from faststream.exceptions import NackMessage

from common.errors import PermanentError
from common.faststream_sqs import SQSBroker, SQSMessage, SQSQueue, SQSResponse
from common.faststream_sqs.schemas import LAST_RESORT_RECEIVE_COUNT
from common.faststream_sqs.subscriber.usecase import SQSSubscriber
from common.messages import PredictionRequest, Stored
from common.sqs import MessageTooLarge, Slots
from common.topology import dead_letter_queue, requests_queue, shadow_queue
from consumer.attempt import Attempt, UnsettledError
from consumer.deadline import Delivery, budget_from
from consumer.results import Tell
from consumer.settings import Settings

log = structlog.get_logger(__name__)


class Answers(Protocol):
    """What is done with a request: ``handler.Predictions``, or ``shadowing.Shadowing``."""

    async def answer(self, request: PredictionRequest, attempt: Attempt) -> None:
        """Come to an end with one delivery of a request, or raise what is to become of it."""


def subscribe(
    broker: SQSBroker, predictions: Answers, settings: Settings
) -> Sequence[SQSSubscriber]:
    """Register a subscriber for every model of the settings; none receives before the start."""
    slots = Slots(max(settings.max_in_flight, len(settings.models)))
    return [
        _subscribe(broker, predictions, _queue(settings, model), slots, model)
        for model in settings.models
    ]


def _queue(settings: Settings, model: str) -> SQSQueue:
    if settings.shadow:
        return SQSQueue(
            shadow_queue(settings.queue_prefix, model),
            visibility_seconds=round(settings.visibility.total_seconds()),
            max_receive_count=settings.max_attempts,
        )
    return SQSQueue(
        requests_queue(settings.queue_prefix, model),
        dead_letter=dead_letter_queue(settings.queue_prefix, model),
        visibility_seconds=round(settings.visibility.total_seconds()),
        max_receive_count=settings.max_attempts,
        last_resort=LAST_RESORT_RECEIVE_COUNT,
    )


def _subscribe(
    broker: SQSBroker, predictions: Answers, queue: SQSQueue, slots: Slots, model: str
) -> SQSSubscriber:
    subscriber = broker.subscriber(
        queue,
        slots=slots,
        title=f"Predictions of {model}",
        description="A validated file; its labels go to the queue that reply_to names.",
    )

    async def predict(request: PredictionRequest) -> None:
        # From the context: as an injected parameter it would cost a hop to a thread.
        message: SQSMessage = broker.context.get_local("message")

        async def tell(body: bytes) -> None:
            if not message.reply_to:
                return
            try:
                await subscriber.reply(message, SQSResponse(msgspec.Raw(body)))
            except MessageTooLarge:
                stored = Stored(prediction_id=request.prediction_id)
                await subscriber.reply(message, SQSResponse(stored))
            except PermanentError as error:
                # The result is stored, and whoever waits for it looks there too.
                log.warning("reply_not_sent", code=error.code, reason=error.message)

        try:
            await predictions.answer(request, _attempt(message, queue, tell))
        except UnsettledError as error:
            log.warning(
                "prediction_unsettled",
                code=error.code,
                reason=error.message,
                receive_count=message.receive_count,
            )
            raise NackMessage(delay_seconds=error.delay_seconds) from error
        # The reply went out beside the store; FastStream must not send this None after it.
        message.reply_to = ""

    subscriber(predict)
    return subscriber


def _attempt(message: SQSMessage, queue: SQSQueue, tell: Tell) -> Attempt:
    raw = message.raw_message
    return Attempt(
        delivery=Delivery(
            sent_ms=raw.sent_ms,
            first_received_ms=raw.first_received_ms,
            receive_count=raw.receive_count,
            received_at=raw.received_at,
        ),
        budget_ms=budget_from(raw.headers),
        attempts=queue.max_receive_count,
        tell=tell,
    )
