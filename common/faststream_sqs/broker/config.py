"""What a broker and its routers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.faststream_sqs._compat import BrokerConfig, ProducerProto
from common.faststream_sqs.exceptions import NotConnectedError
from common.faststream_sqs.publisher.producer import SQSProducer
from common.sqs import LONG_POLL_SECONDS

if TYPE_CHECKING:
    from common.faststream_sqs.broker.connection import SQSConnection
    from common.faststream_sqs.subscriber.config import ErrorReply


@dataclass(kw_only=True)
class SQSBrokerConfig(BrokerConfig):
    """The broker's settings, and its connection while it has one."""

    producer: ProducerProto[Any] = field(default_factory=SQSProducer)
    wait_seconds: int = LONG_POLL_SECONDS
    error_reply: ErrorReply | None = None
    link: SQSConnection | None = field(default=None, repr=False)

    @property
    def connection(self) -> SQSConnection:
        """The open connection.

        Raises:
            NotConnectedError: there is none.
        """
        if self.link is None:
            raise NotConnectedError
        return self.link
