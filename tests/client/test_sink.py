from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode, format_trace_id

from client.local import sink as sink_module
from client.local.sink import TraceSink, TraceStore, decode_spans
from client.local.spans import Span

ANY_PORT = 0


@pytest.fixture
def sink() -> Iterator[TraceSink]:
    with TraceSink(ANY_PORT) as running:
        yield running


def make_span(trace_id: str = "t", span_id: str = "s") -> Span:
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id="",
        service="producer",
        name="read",
        start_ns=0,
        end_ns=1,
    )


def test_keeps_what_the_real_exporter_sends_and_gives_it_back_by_its_trace_id(
    sink: TraceSink,
) -> None:
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "producer"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{sink.url}/v1/traces")))
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("outer") as outer,
        tracer.start_as_current_span("inner") as inner,
    ):
        inner.set_status(StatusCode.ERROR)
    provider.shutdown()
    trace_id = format_trace_id(outer.get_span_context().trace_id)

    answer = httpx.get(f"{sink.url}/traces/{trace_id}", trust_env=False)

    first, second = msgspec.json.decode(answer.content, type=list[Span])
    assert (first.name, first.is_error, first.service) == ("inner", True, "producer")
    assert (second.name, second.is_error, second.parent_id) == ("outer", False, "")
    assert first.parent_id == second.span_id
    assert httpx.get(f"{sink.url}/traces", trust_env=False).json() == [trace_id]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        pytest.param("/v1/traces", b"\xff\xff", {}, id="not protobuf"),
        pytest.param("/v1/traces", b"x", {"Content-Encoding": "gzip"}, id="not gzip"),
        pytest.param("/v1/traces", b"", {}, id="empty"),
        pytest.param("/v1/metrics", b"x", {}, id="another signal"),
    ],
)
def test_refuses_what_is_no_export_request(
    sink: TraceSink, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = httpx.post(f"{sink.url}{path}", content=body, headers=headers, trust_env=False)

    assert answer.status_code == 400
    assert sink.store.newest() == []


def test_stops_unpacking_at_its_bound(sink: TraceSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "MAX_BODY_BYTES", 1_000)
    bomb = gzip.compress(bytes(1_001))

    answer = httpx.post(
        f"{sink.url}/v1/traces",
        content=bomb,
        headers={"Content-Encoding": "gzip"},
        trust_env=False,
    )

    assert len(bomb) < 1_000
    assert answer.status_code == 400


def test_the_oldest_traces_make_room_for_the_newest() -> None:
    store = TraceStore(max_traces=2)

    for trace_id in ("a", "b", "c"):
        store.add(make_span(trace_id))

    assert store.newest() == ["c", "b"]
    assert store.spans("a") == []
    assert store.dropped_spans == 1


def test_a_trace_without_end_takes_no_more_than_its_share() -> None:
    store = TraceStore(max_spans=2)

    for span_id in ("a", "b", "c"):
        store.add(make_span(span_id=span_id))

    assert [span.span_id for span in store.spans("t")] == ["a", "b"]
    assert store.dropped_spans == 1


def test_a_span_of_a_nameless_service_is_kept() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, name="read")

    (span,) = decode_spans(request.SerializeToString())

    assert (span.service, span.trace_id) == ("unknown", "01" * 16)
