"""The one subscriber, on the queue of callbacks."""

from __future__ import annotations

from datetime import UTC, datetime

from callbacks.deliveries import Deliveries, Receipt
from callbacks.settings import Settings
from common.callbacks import CallbackOrder
from common.faststream_sqs import SQSBroker, SQSQueue
from common.faststream_sqs.annotations import SQSMessage
from common.faststream_sqs.schemas import LAST_RESORT_RECEIVE_COUNT
from common.sqs import Slots
from common.topology import callbacks_dead_letter_queue, callbacks_queue

MAX_RECEIVE_COUNT = LAST_RESORT_RECEIVE_COUNT
"""Above any schedule: a host that is busy and a store that is away count as receipts too.

It ends what kills its process every time, and a backlog that a receiver does not take in hours.
"""


def subscribe(broker: SQSBroker, deliveries: Deliveries, settings: Settings) -> None:
    """Register the subscriber; it receives nothing before the broker starts."""
    queue = SQSQueue(
        callbacks_queue(settings.queue_prefix),
        dead_letter=callbacks_dead_letter_queue(settings.queue_prefix),
        visibility_seconds=round(settings.visibility.total_seconds()),
        max_receive_count=MAX_RECEIVE_COUNT,
    )
    subscriber = broker.subscriber(
        queue,
        slots=Slots(settings.callback_max_in_flight),
        title="Callbacks to deliver",
        description="An order to tell a client's server what became of a prediction.",
    )

    async def deliver(order: CallbackOrder, message: SQSMessage) -> None:
        raw = message.raw_message
        sent_at = datetime.fromtimestamp(raw.sent_ms / 1000, UTC)
        await deliveries.deliver(order, Receipt(sent_at, raw.receive_count))

    subscriber(deliver)
