"""Logs and traces, set up the same way in every process of the system.

Every log line is one JSON object (or one coloured line on a person's console) and carries the
trace and the prediction it belongs to. Neither logs nor spans ever hold a row's content: frames'
local variables are left out of tracebacks, and the AWS client, whose debug lines print message
bodies, is never turned down below INFO.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import msgspec
import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["json", "console"]

OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TALKATIVE_LOGGERS = ("aiobotocore", "aiohttp", "asyncio", "botocore", "faststream", "urllib3")
STOP_TIMEOUT_MILLISECONDS = 2_000

_encoder = msgspec.json.Encoder(enc_hook=str)


class LogSettings(Protocol):
    """What a service's settings must have for its logs to be set up."""

    @property
    def log_level(self) -> str:
        """Lowest level that is written, as the standard library names it (``INFO``)."""

    @property
    def log_format(self) -> LogFormat:
        """One JSON object a line for machines, or a coloured line for a person."""


def configure_logging(settings: LogSettings) -> None:
    """Send structlog's and every standard-library logger's lines to standard output, alike.

    Raises:
        ValueError: the level is not one that the standard library knows.
    """
    level = _level_number(settings.log_level)
    shared = _shared_processors()
    final = _final_processors(settings.log_format)
    structlog.configure(
        processors=[*shared, *final, _to_bytes],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    logging.captureWarnings(capture=True)


def configure_tracing(service_name: str) -> TracerProvider:
    """Make the process's tracer provider, and export by OTLP over HTTP when an endpoint is set.

    The standard ``OTEL_*`` variables decide: endpoint, headers, sampler, service name. With no
    endpoint nobody would see a span, so a trace that starts here is not recorded, which is cheaper;
    its identifiers still travel. A caller's own sampling decision is followed in both cases.
    """
    exporting = any(os.environ.get(name) for name in OTLP_ENDPOINTS)
    name = os.environ.get("OTEL_SERVICE_NAME") or service_name
    provider = TracerProvider(
        sampler=_sampler(exporting=exporting),
        resource=Resource.create({SERVICE_NAME: name}),
        shutdown_on_exit=False,
    )
    if exporting:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def flush_traces(provider: TracerProvider) -> None:
    """Export what is still buffered, for at most two seconds. Blocks: call it off the loop."""
    provider.force_flush(STOP_TIMEOUT_MILLISECONDS)


@contextmanager
def prediction_in_logs(prediction_id: str) -> Iterator[None]:
    """Put ``prediction_id`` on every line logged inside, by this task and those it starts."""
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        yield


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the current span's ids in the hexadecimal form that trace viewers search by."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _sampler(*, exporting: bool) -> Sampler | None:
    """None lets the SDK read ``OTEL_TRACES_SAMPLER``, which is parent-based unless told."""
    if exporting or os.environ.get("OTEL_TRACES_SAMPLER"):
        return None
    return ParentBased(root=ALWAYS_OFF)


def _level_number(name: str) -> int:
    levels = logging.getLevelNamesMapping()
    level = levels.get(name.upper())
    if level is None:
        raise ValueError(f"Log level {name!r} is not one of {', '.join(sorted(levels))}.")
    return level


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        add_trace_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _final_processors(log_format: LogFormat) -> list[Processor]:
    if log_format == "console":
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(frames), _to_json]


def _to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _encoder.encode(event).decode()


def _to_bytes(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    encoded: bytes = line.encode()
    return encoded
