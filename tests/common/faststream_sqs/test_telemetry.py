"""Traces and metrics."""
# ruff: noqa: ARG001 - a handler takes its body whether it looks at it or not

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from common.errors import PermanentError
from common.faststream_sqs import SQSBroker, SQSMessage, SQSQueue, TestSQSBroker
from common.faststream_sqs.opentelemetry import SQSTelemetryMiddleware
from common.faststream_sqs.prometheus import SQSPrometheusMiddleware
from tests.common.faststream_sqs.bodies import Answer, Ask, Done, Refused
from tests.common.faststream_sqs.conftest import MakeBroker

SECRET = "PADARIA CENTRAL"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.clear()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def refuse(error: Exception, message: SQSMessage) -> Refused:
    return Refused(code="refused")


def tree(finished: tuple[ReadableSpan, ...]) -> dict[str, str | None]:
    """Each span's name, and its parent's."""
    names = {span.context.span_id: span.name for span in finished if span.context}
    return {
        span.name: None if span.parent is None else names.get(span.parent.span_id, "elsewhere")
        for span in finished
    }


async def test_one_trace_leads_from_the_caller_through_both_queues_and_back(
    make_broker: MakeBroker,
    requests: SQSQueue,
    tracing: TracerProvider,
    spans: InMemorySpanExporter,
) -> None:
    worker = make_broker(middlewares=[SQSTelemetryMiddleware(tracer_provider=tracing)])
    caller = make_broker(middlewares=[SQSTelemetryMiddleware(tracer_provider=tracing)])
    tracer = tracing.get_tracer("test")

    @worker.subscriber(requests)
    async def handle(ask: Ask) -> Answer:
        with tracer.start_as_current_span("predict"):
            return Done(number=ask.number)

    await worker.start()
    await caller.start()
    with tracer.start_as_current_span("HTTP"):
        await caller.request(Ask(number=1), requests.name, timeout=10)
    await worker.stop()

    finished = spans.get_finished_spans()
    assert len({span.context.trace_id for span in finished if span.context}) == 1
    assert tree(finished) == {
        "HTTP": None,
        f"request {requests.name}": "HTTP",
        f"process {requests.name}": f"request {requests.name}",
        "predict": f"process {requests.name}",
        "send replies": f"process {requests.name}",
        "receive replies": "send replies",
    }
    process = next(span for span in finished if span.name.startswith("process"))
    assert process.kind is SpanKind.CONSUMER
    assert process.attributes is not None
    assert process.attributes["messaging.system"] == "aws_sqs"
    assert process.attributes["messaging.operation.type"] == "process"
    assert process.attributes["messaging.destination.name"] == requests.name
    assert process.attributes["carimbo.receive_count"] == 1


async def test_a_failure_shows_in_the_trace_by_its_type_alone(
    tracing: TracerProvider, spans: InMemorySpanExporter
) -> None:
    broker = SQSBroker(
        error_reply=refuse, middlewares=[SQSTelemetryMiddleware(tracer_provider=tracing)]
    )

    @broker.subscriber(SQSQueue("requests", max_receive_count=1, dead_letter="dead"))
    async def handle(ask: Ask) -> Answer:
        raise ValueError(SECRET)

    async with TestSQSBroker(broker) as tested:
        await tested.request(Ask(number=1, text=SECRET), "requests")

    finished = spans.get_finished_spans()
    assert len({span.context.trace_id for span in finished if span.context}) == 1
    assert tree(finished)["send replies"] == "request requests"
    failed = next(span for span in finished if span.name == "process requests")
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "ValueError"
    assert not failed.status.is_ok
    assert all(SECRET not in span.to_json() for span in finished)


async def test_a_trace_passes_through_a_worker_that_records_none(
    tracing: TracerProvider, spans: InMemorySpanExporter
) -> None:
    worker = SQSBroker()
    caller = SQSBroker(middlewares=[SQSTelemetryMiddleware(tracer_provider=tracing)])

    @worker.subscriber("requests")
    async def handle(ask: Ask) -> Answer:
        return Done(number=1)

    async with TestSQSBroker(worker, caller):
        await caller.request(Ask(number=1), "requests")
    assert tree(spans.get_finished_spans()) == {
        "request requests": None,
        "receive replies": "request requests",
    }


async def test_a_batch_is_one_span_that_counts_its_messages(
    tracing: TracerProvider, spans: InMemorySpanExporter
) -> None:
    broker = SQSBroker(middlewares=[SQSTelemetryMiddleware(tracer_provider=tracing)])
    async with TestSQSBroker(broker) as tested:
        await tested.publish_batch(Ask(number=1), Ask(number=2), queue="requests")
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 2


async def test_metrics_count_messages_by_queue_and_outcome() -> None:
    registry = CollectorRegistry()
    broker = SQSBroker(middlewares=[SQSPrometheusMiddleware(registry=registry)])

    @broker.subscriber(SQSQueue("requests", dead_letter="dead"))
    async def handle(ask: Ask) -> Answer:
        if ask.number == 0:
            raise PermanentError("no", "Never.")
        return Done(number=1)

    async with TestSQSBroker(broker) as tested:
        await tested.request(Ask(number=1), "requests")
        with pytest.raises(PermanentError):
            await tested.publish(Ask(number=0), "requests")

    labels = {"app_name": "carimbo", "broker": "sqs", "handler": "requests"}
    received = registry.get_sample_value("faststream_received_messages_total", labels)
    assert received == 2
    for status in ("acked", "error"):
        processed = registry.get_sample_value(
            "faststream_received_processed_messages_total", {**labels, "status": status}
        )
        assert processed == 1
