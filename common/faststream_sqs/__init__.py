"""An SQS broker for FastStream, which has none yet; public names as its proposed own would have.

The mechanics are ``common.sqs``, which knows no framework. OpenTelemetry and Prometheus
middlewares are in ``common.faststream_sqs.opentelemetry`` and ``.prometheus``, annotations for
handlers in ``.annotations``.
"""

from faststream import AckPolicy

from common.faststream_sqs.broker.broker import SQSBroker
from common.faststream_sqs.broker.router import SQSRouter
from common.faststream_sqs.exceptions import (
    NotConnectedError,
    ReplyTimeoutError,
    UndecodableMessageError,
)
from common.faststream_sqs.message import SQSMessage
from common.faststream_sqs.response import SQSPublishCommand, SQSResponse
from common.faststream_sqs.schemas import SQSQueue
from common.faststream_sqs.testing import TestSQSBroker

__all__ = (
    "AckPolicy",
    "NotConnectedError",
    "ReplyTimeoutError",
    "SQSBroker",
    "SQSMessage",
    "SQSPublishCommand",
    "SQSQueue",
    "SQSResponse",
    "SQSRouter",
    "TestSQSBroker",
    "UndecodableMessageError",
)
