"""Puts a subscriber together from what an application says about it."""

from __future__ import annotations

from faststream import AckPolicy

from common.faststream_sqs._compat import BrokerConfig, CallsCollection
from common.faststream_sqs.schemas import SQSQueue
from common.faststream_sqs.subscriber.config import (
    ErrorReply,
    SQSSubscriberConfig,
    SQSSubscriberSpecificationConfig,
)
from common.faststream_sqs.subscriber.specification import SQSSubscriberSpecification
from common.faststream_sqs.subscriber.usecase import SQSSubscriber
from common.sqs import ReceivedMessage, Slots


def create_subscriber(  # noqa: PLR0913 - one argument a setting
    *,
    queue: SQSQueue,
    slots: Slots,
    ack_policy: AckPolicy,
    no_reply: bool,
    error_reply: ErrorReply | None,
    title: str | None,
    description: str | None,
    include_in_schema: bool,
    config: BrokerConfig,
) -> SQSSubscriber:
    """Return a subscriber that does nothing until it is started."""
    calls: CallsCollection[ReceivedMessage] = CallsCollection()
    return SQSSubscriber(
        SQSSubscriberConfig(
            queue=queue,
            slots=slots,
            error_reply=error_reply,
            no_reply=no_reply,
            _ack_policy=ack_policy,
            _outer_config=config,
        ),
        SQSSubscriberSpecification(
            config,
            SQSSubscriberSpecificationConfig(
                queue=queue.name,
                title_=title,
                description_=description,
                include_in_schema=include_in_schema,
            ),
            calls,
        ),
        calls,
    )
