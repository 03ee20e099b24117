"""How the AsyncAPI document shows a subscriber."""

from __future__ import annotations

from typing import Any

from faststream.specification.asyncapi.utils import resolve_payloads, to_camelcase
from faststream.specification.schema import Message, Operation, SubscriberSpec
from faststream.specification.schema.bindings import ChannelBinding
from faststream.specification.schema.bindings.sqs import ChannelBinding as SQSChannelBinding

from common.faststream_sqs._compat import BrokerConfig, SubscriberSpecification
from common.faststream_sqs.codec import handler_body_type
from common.faststream_sqs.payloads import payload_schema
from common.faststream_sqs.subscriber.config import SQSSubscriberSpecificationConfig


class SQSSubscriberSpecification(
    SubscriberSpecification[BrokerConfig, SQSSubscriberSpecificationConfig]
):
    """The channel of a subscriber's queue."""

    @property
    def queue(self) -> str:
        """The queue's full name."""
        return f"{self._outer_config.prefix}{self.config.queue}"

    @property
    def channel_labels(self) -> list[str]:
        """Return the queue's name: the channel's key is made of it."""
        return [self.queue]

    def get_payloads(self) -> list[tuple[dict[str, Any], str]]:
        """Return the schema of each handler's body."""
        prefix = self.config.title_ or self.call_name
        return [
            (
                payload_schema(handler_body_type(call), f"{prefix}:Message:Payload"),
                to_camelcase(call.name),
            )
            for call in self.calls
        ]

    def get_schema(self) -> dict[str, SubscriberSpec]:
        """Return the channel and its operation."""
        return {
            self.name: SubscriberSpec(
                address=self.queue,
                description=self.description,
                operation=Operation(
                    message=Message(
                        title=f"{self.name}:Message",
                        payload=resolve_payloads(self.get_payloads()),
                    ),
                    bindings=None,
                ),
                bindings=ChannelBinding(sqs=SQSChannelBinding(queue={"name": self.queue})),
            )
        }
