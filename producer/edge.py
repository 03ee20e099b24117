"""What happens to every request before any route is looked for, and to every answer after.

An ASGI application around the real one: liveness on a path that touches nothing else, one server
span a request (a continued or a new trace), the prediction id and the trace in every answer's
headers, one log line. What the doorkeeper refuses gets an id and no more: it must cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from litestar.enums import ScopeType
from opentelemetry import propagate
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common.telemetry import prediction_in_logs
from producer.doorkeeper import Doorkeeper, send_refusal
from producer.exchange import SCOPE_KEY, Exchange, open_exchange

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

LIVE_PATH = "/health/live"
QUIET_PATHS = frozenset({"/health/ready", "/metrics"})
PREDICTIONS_PREFIX = "/v1/models/"
SERVER_ERROR = 500

_trace_context = TraceContextTextMapPropagator()
_log = structlog.get_logger("producer.http")


class Edge:
    """Wraps ``app``. Spans are made by ``tracer``; ``doorkeeper`` says who is let in.

    While ``is_leaving`` says so, every answer asks its connection to close: its client's next
    request then goes to another replica, and meets no socket that is about to go.
    """

    def __init__(
        self,
        app: ASGIApp,
        tracer: Tracer,
        doorkeeper: Doorkeeper,
        is_leaving: Callable[[], bool],
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._doorkeeper = doorkeeper
        self._is_leaving = is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer liveness here; hand anything else to the application."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
        elif scope["path"] == LIVE_PATH:
            await _say_alive(send)
        elif (refusal := self._doorkeeper.refusal(scope)) is not None:
            await send_refusal(refusal, _headers(scope), self._parting(), send)
        else:
            await self._exchange(scope, receive, send)

    async def _exchange(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        span = self._tracer.start_span(
            scope["method"], context=propagate.extract(headers), kind=SpanKind.SERVER
        )
        exchange = scope[SCOPE_KEY] = _exchange_about(span, scope, headers)
        status = SERVER_ERROR

        async def send_with_identity(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_identity(exchange), *self._parting()]
            await send(message)

        with use_span(span, end_on_exit=True), _logged(exchange):
            await self._app(scope, receive, send_with_identity)
            _describe(span, scope, status)
            if scope["path"] not in QUIET_PATHS:
                _log.info(
                    "answered",
                    method=scope["method"],
                    route=_route(scope),
                    status=status,
                    milliseconds=round(exchange.stopwatch.elapsed_seconds * 1000, 3),
                )

    def _parting(self) -> list[tuple[bytes, bytes]]:
        return [(b"connection", b"close")] if self._is_leaving() else []


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}


def _exchange_about(span: Span, scope: Any, headers: Mapping[str, str]) -> Exchange:
    """A prediction gets its id here, so that even a refused one can be named."""
    if scope["method"] != "POST" or not scope["path"].startswith(PREDICTIONS_PREFIX):
        return Exchange(span)
    return open_exchange(span, headers.get("prediction-id"))


def _identity(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    carrier: dict[str, str] = {}
    _trace_context.inject(carrier)
    if exchange.prediction_id is not None:
        carrier["prediction-id"] = exchange.prediction_id
    if exchange.is_replayed:
        carrier["idempotency-replayed"] = "true"
    return [(name.encode(), text.encode()) for name, text in carrier.items()]


@contextmanager
def _logged(exchange: Exchange) -> Iterator[None]:
    if exchange.prediction_id is None:
        yield
        return
    with prediction_in_logs(exchange.prediction_id):
        yield


def _describe(span: Span, scope: Any, status: int) -> None:
    if not span.is_recording():
        return
    route = _route(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": scope.get("scheme", "http"),
        }
    )
    if status >= SERVER_ERROR:
        span.set_status(StatusCode.ERROR)


def _route(scope: Any) -> str:
    """The route's template: a path as sent may hold anything, and may not be logged."""
    template: str = scope.get("path_template") or "(no route)"
    return template


async def _say_alive(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"alive"}', "more_body": False})
