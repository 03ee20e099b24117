"""Traces: one from the caller, through both queues, back to the caller.

FastStream's own middleware makes two spans a publication, hangs the reply beside the worker's
span instead of under it, and records exceptions with their text. This one makes one span a send,
injects that very span's context into the message, so that the tree is causal (request, process,
send reply, receive reply), names things as the messaging conventions do today, and tells an error
by its type alone.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from faststream import BaseMiddleware, ContextRepo
from faststream.message import SourceType, StreamMessage
from faststream.response import PublishType
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from common.faststream_sqs.response import SQSPublishCommand

INSTRUMENTATION = "common.faststream_sqs"
SYSTEM = messaging.MessagingSystemValues.AWS_SQS.value
REPLIES = "replies"
"""Stands for every reply queue in span names, which must not grow with the replicas."""


class SQSTelemetryMiddleware:
    """Broker middleware: pass one to ``SQSBroker(middlewares=[...])``.

    Without ``tracer_provider`` the process's own is used.
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer(INSTRUMENTATION, tracer_provider=tracer_provider)

    def __call__(self, msg: Any | None, /, *, context: ContextRepo) -> _Telemetry:
        """Return the middleware of one message."""
        return _Telemetry(msg, context=context, tracer=self._tracer)


class _Telemetry(BaseMiddleware[SQSPublishCommand, Any]):
    __slots__ = ("_span", "_tracer")

    def __init__(self, msg: Any | None, /, *, context: ContextRepo, tracer: Tracer) -> None:
        super().__init__(msg, context=context)
        self._tracer = tracer
        self._span: Span | None = None

    async def consume_scope(self, call_next: Any, msg: StreamMessage[Any]) -> Any:
        """Continue the message's trace around its handler, or around a reply's arrival."""
        is_reply = msg.source_type is SourceType.RESPONSE
        parent = propagate.extract(msg.headers)
        span = self._tracer.start_span(
            f"receive {REPLIES}" if is_reply else f"process {_queue_name(msg)}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes=_consume_attributes(msg, is_reply=is_reply),
        )
        self._span = span
        token = otel_context.attach(trace.set_span_in_context(span, parent))
        try:
            return await call_next(msg)
        except Exception as error:
            _mark_failed(span, error)
            raise
        finally:
            otel_context.detach(token)

    async def publish_scope(self, call_next: Any, cmd: SQSPublishCommand) -> Any:
        """Send inside a span whose context travels with the message."""
        parent = self._parent(cmd)
        destination = REPLIES if cmd.publish_type is PublishType.REPLY else _last(cmd.destination)
        operation = "request" if cmd.publish_type is PublishType.REQUEST else "send"
        span = self._tracer.start_span(
            f"{operation} {destination}",
            context=parent,
            kind=SpanKind.PRODUCER,
            attributes=_publish_attributes(cmd, operation),
        )
        sending = trace.set_span_in_context(span, parent)
        propagate.inject(cmd.headers, context=sending)
        try:
            return await call_next(cmd)
        except Exception as error:
            _mark_failed(span, error)
            raise
        finally:
            span.end()

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        """End the message's span: its reply has been sent by now."""
        if self._span is not None:
            if isinstance(exc_val, Exception):
                _mark_failed(self._span, exc_val)
            self._span.end()
        return await super().after_processed(exc_type, exc_val, exc_tb)

    def _parent(self, cmd: SQSPublishCommand) -> Context:
        """The span of the message being handled, else the caller's, else the one in the headers."""
        if self._span is not None:
            return trace.set_span_in_context(self._span)
        if trace.get_current_span().get_span_context().is_valid:
            return otel_context.get_current()
        return propagate.extract(cmd.headers)


def _consume_attributes(msg: StreamMessage[Any], *, is_reply: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        messaging.MESSAGING_SYSTEM: SYSTEM,
        messaging.MESSAGING_OPERATION_NAME: "receive" if is_reply else "process",
        messaging.MESSAGING_OPERATION_TYPE: "receive" if is_reply else "process",
        messaging.MESSAGING_DESTINATION_NAME: _queue_name(msg),
        messaging.MESSAGING_MESSAGE_ID: msg.message_id,
        messaging.MESSAGING_MESSAGE_CONVERSATION_ID: msg.correlation_id,
        messaging.MESSAGING_MESSAGE_BODY_SIZE: len(msg.body),
        "carimbo.queue_wait_ms": msg.raw_message.queue_wait_ms,
        "carimbo.receive_count": msg.raw_message.receive_count,
    }
    if is_reply:
        attributes[messaging.MESSAGING_DESTINATION_TEMPLATE] = REPLIES
        attributes[messaging.MESSAGING_DESTINATION_TEMPORARY] = True
    return attributes


def _publish_attributes(cmd: SQSPublishCommand, operation: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        messaging.MESSAGING_SYSTEM: SYSTEM,
        messaging.MESSAGING_OPERATION_NAME: operation,
        messaging.MESSAGING_OPERATION_TYPE: "send",
        messaging.MESSAGING_DESTINATION_NAME: _last(cmd.destination),
    }
    if cmd.correlation_id:
        attributes[messaging.MESSAGING_MESSAGE_CONVERSATION_ID] = cmd.correlation_id
    if cmd.publish_type is PublishType.REPLY:
        attributes[messaging.MESSAGING_DESTINATION_TEMPLATE] = REPLIES
        attributes[messaging.MESSAGING_DESTINATION_TEMPORARY] = True
    if cmd.extra_bodies:
        attributes[messaging.MESSAGING_BATCH_MESSAGE_COUNT] = len(cmd.batch_bodies)
    return attributes


def _mark_failed(span: Span, error: Exception) -> None:
    """Tell the error's type; its text may quote what must not leave the data."""
    span.set_attribute(error_attributes.ERROR_TYPE, type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def _queue_name(msg: StreamMessage[Any]) -> str:
    return _last(msg.raw_message.queue_url)


def _last(destination: str) -> str:
    return destination.rpartition("/")[2]
