"""How the AsyncAPI document shows a publisher."""

from __future__ import annotations

from inspect import unwrap
from typing import Any, get_type_hints

from faststream.specification.asyncapi.utils import resolve_payloads, to_camelcase
from faststream.specification.schema import Message, Operation, PublisherSpec
from faststream.specification.schema.bindings import ChannelBinding
from faststream.specification.schema.bindings.sqs import ChannelBinding as SQSChannelBinding

from common.faststream_sqs._compat import BrokerConfig, PublisherSpecification
from common.faststream_sqs.payloads import payload_schema
from common.faststream_sqs.publisher.config import SQSPublisherSpecificationConfig


class SQSPublisherSpecification(
    PublisherSpecification[BrokerConfig, SQSPublisherSpecificationConfig]
):
    """The channel of a publisher's queue."""

    @property
    def queue(self) -> str:
        """The queue's full name."""
        return f"{self._outer_config.prefix}{self.config.queue}"

    @property
    def name(self) -> str:
        """The channel's key in the document."""
        return self.config.title_ or f"{self.queue}:Publisher"

    def get_payloads(self) -> list[tuple[dict[str, Any], str]]:
        """Return the schemas of what is sent: as declared, else as the handlers return."""
        title = f"{self.name}:Message:Payload"
        if self.config.schema_:
            return [(payload_schema(self.config.schema_, title), "")]
        payloads: list[tuple[dict[str, Any], str]] = []
        for call in self.calls:
            handler = unwrap(call)
            if "return" in handler.__annotations__:
                result = get_type_hints(handler, include_extras=True)["return"]
                payloads.append((payload_schema(result, title), to_camelcase(handler.__name__)))
        return payloads

    def get_schema(self) -> dict[str, PublisherSpec]:
        """Return the channel and its operation."""
        return {
            self.name: PublisherSpec(
                address=self.queue,
                description=self.config.description_,
                operation=Operation(
                    message=Message(
                        title=f"{self.name}:Message",
                        payload=resolve_payloads(self.get_payloads(), "Publisher"),
                    ),
                    bindings=None,
                ),
                bindings=ChannelBinding(sqs=SQSChannelBinding(queue={"name": self.queue})),
            )
        }
