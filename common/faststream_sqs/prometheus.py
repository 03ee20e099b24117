"""Metrics of the queues through FastStream's own Prometheus middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faststream.prometheus import ConsumeAttrs, MetricsSettingsProvider
from faststream.prometheus.middleware import PrometheusMiddleware

from common.faststream_sqs.response import SQSPublishCommand
from common.sqs import ReceivedMessage

if TYPE_CHECKING:
    from faststream.message import StreamMessage
    from prometheus_client import CollectorRegistry


class SQSMetricsSettingsProvider(MetricsSettingsProvider[ReceivedMessage, SQSPublishCommand]):
    """Where the metrics find a message's queue and size."""

    __slots__ = ("messaging_system",)

    def __init__(self) -> None:
        self.messaging_system = "sqs"

    def get_consume_attrs_from_message(self, msg: StreamMessage[ReceivedMessage]) -> ConsumeAttrs:
        """Return the labels and the size, in bytes, of a received message."""
        return {
            "destination_name": _queue_name(msg.raw_message.queue_url),
            "message_size": len(msg.body),
            "messages_count": 1,
        }

    def get_publish_destination_name_from_cmd(self, cmd: SQSPublishCommand) -> str:
        """Return the queue that a publication goes to."""
        return _queue_name(cmd.destination)


class SQSPrometheusMiddleware(PrometheusMiddleware[ReceivedMessage, SQSPublishCommand]):
    """Broker middleware: pass one to ``SQSBroker(middlewares=[...])``.

    Counts and times what is received, processed and published, by queue; replies apart, whose
    queues are as many as the replicas that ever lived.
    """

    def __init__(self, *, registry: CollectorRegistry, app_name: str = "carimbo") -> None:
        provider = SQSMetricsSettingsProvider()
        super().__init__(
            settings_provider_factory=lambda _: provider, registry=registry, app_name=app_name
        )


def _queue_name(destination: str) -> str:
    return destination.rpartition("/")[2]
