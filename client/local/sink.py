"""Where the local services send their traces: OTLP over HTTP, kept in memory, the newest only.

A stand-in for a tracing back end, in the process of ``carimbo run``. ``POST /v1/traces`` takes
spans as protobuf; ``GET /traces`` and ``GET /traces/<id>`` give them back as JSON.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import Self

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ExportedSpan

from client.local.readiness import free_port
from client.local.spans import Span

OTLP_HTTP_PORT = 4318
MAX_TRACES = 1_000
MAX_SPANS_A_TRACE = 200
MAX_BODY_BYTES = 8 * 1024 * 1024
LISTED_TRACES = 20
REQUEST_TIMEOUT_SECONDS = 30.0


class TraceStore:
    """The newest traces; the oldest make room. Safe to use from several threads."""

    def __init__(self, max_traces: int = MAX_TRACES, max_spans: int = MAX_SPANS_A_TRACE) -> None:
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._lock = threading.Lock()
        self.dropped_spans = 0

    def add(self, span: Span) -> None:
        """Keep a span, unless its trace is as long as traces may be."""
        with self._lock:
            spans = self._traces.setdefault(span.trace_id, [])
            self._traces.move_to_end(span.trace_id)
            if len(spans) < self._max_spans:
                spans.append(span)
            else:
                self.dropped_spans += 1
            while len(self._traces) > self._max_traces:
                _, oldest = self._traces.popitem(last=False)
                self.dropped_spans += len(oldest)

    def spans(self, trace_id: str) -> list[Span]:
        """The spans of one trace that came so far; empty when none did."""
        with self._lock:
            return list(self._traces.get(trace_id, ()))

    def newest(self, count: int = LISTED_TRACES) -> list[str]:
        """Trace ids, the one that last got a span first."""
        with self._lock:
            return list(reversed(self._traces))[:count]


class TraceSink:
    """The store behind a loopback HTTP server with a thread of its own."""

    def __init__(self, port: int | None = None) -> None:
        self.store = TraceStore()
        handler = type("Handler", (_Handler,), {"store": self.store})
        chosen = free_port(OTLP_HTTP_PORT) if port is None else port
        self._server = _Server(("127.0.0.1", chosen), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def decode_spans(body: bytes) -> Iterator[Span]:
    """The spans of one OTLP export request.

    Raises:
        google.protobuf.message.DecodeError: the body is not such a request.
    """
    request = ExportTraceServiceRequest.FromString(body)
    for resource_spans in request.resource_spans:
        service = _service_name(resource_spans)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, service)


def _span(span: ExportedSpan, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=service,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _service_name(resource_spans: ResourceSpans) -> str:
    for attribute in resource_spans.resource.attributes:
        if attribute.key == "service.name":
            return str(attribute.value.string_value)
    return "unknown"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_TIMEOUT_SECONDS
    store: TraceStore

    def do_POST(self) -> None:
        """Take one OTLP export request."""
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/traces" or not 0 < length <= MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, b"", "text/plain")
            return
        try:
            body = _unpack(self.rfile.read(length), self.headers.get("Content-Encoding"))
            for span in decode_spans(body):
                self.store.add(span)
        except (DecodeError, OSError, EOFError, zlib.error):
            self._answer(HTTPStatus.BAD_REQUEST, b"", "text/plain")
            return
        answer = ExportTraceServiceResponse().SerializeToString()
        self._answer(HTTPStatus.OK, answer, "application/x-protobuf")

    def do_GET(self) -> None:
        """Give the newest trace ids, or the spans of one trace."""
        collection, _, trace_id = self.path.lstrip("/").partition("/")
        if collection != "traces":
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
            return
        found = self.store.spans(trace_id) if trace_id else self.store.newest()
        self._answer(HTTPStatus.OK, msgspec.json.encode(found), "application/json")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay silent: the sink shares a terminal with the person who watches the system."""

    def _answer(self, status: HTTPStatus, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _unpack(body: bytes, encoding: str | None) -> bytes:
    """The body as it was before its content coding; a bound stops what unpacks without end."""
    if encoding != "gzip":
        return body
    with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
        unpacked = packed.read(MAX_BODY_BYTES + 1)
    if len(unpacked) > MAX_BODY_BYTES:
        raise OSError("the export request is too large once unpacked")
    return unpacked
