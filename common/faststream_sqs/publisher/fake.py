"""The publisher that answers a request: it knows one reply queue and one request."""

from __future__ import annotations

from faststream.response import PublishCommand

from common.faststream_sqs._compat import FakePublisher, ProducerProto
from common.faststream_sqs.message import SQSMessage
from common.faststream_sqs.response import SQSPublishCommand

TRACE_HEADERS = ("traceparent", "tracestate", "baggage")


class SQSFakePublisher(FakePublisher):
    """Sends a handler's result to the queue that the request named.

    The request's correlation id and trace context go with it, so that a reply finds its waiter
    and its trace even when this process records none.
    """

    __slots__ = ("_request",)

    def __init__(self, *, producer: ProducerProto[SQSPublishCommand], request: SQSMessage) -> None:
        super().__init__(producer=producer)
        self._request = request

    def patch_command(self, cmd: PublishCommand) -> SQSPublishCommand:
        """Address ``cmd`` to the request's sender."""
        reply = SQSPublishCommand.from_cmd(super().patch_command(cmd))
        request = self._request
        reply.destination = request.reply_to
        reply.correlation_id = request.correlation_id
        reply.add_headers(
            {name: request.headers[name] for name in TRACE_HEADERS if name in request.headers},
            override=False,
        )
        return reply
