"""The life of the process: connect, deliver; at SIGTERM the attempts in hand, then out."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import structlog
import uvloop
from pydantic import ValidationError

from callbacks.settings import Settings
from callbacks.wiring import Deliverer, deliverer
from common.errors import PermanentError, TransientError
from common.serving import bind, serving
from common.telemetry import configure_logging, configure_tracing, flush_traces

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def run() -> int:
    """Deliver callbacks until told to stop; returns the process's exit status."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # the environment has them
    except ValidationError as error:
        print(unusable(error), file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    configure_logging(settings)
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        log.error("port_not_available", host=settings.host, port=settings.port, reason=str(error))  # noqa: TRY400
        return 1
    try:
        uvloop.run(serve(settings, listener))
    except PermanentError as error:
        log.error("service_cannot_work", code=error.code, reason=error.message)  # noqa: TRY400
        return 1
    return 0


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand."""
    tracing = configure_tracing("carimbo-callbacks")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with deliverer(settings) as parts, serving(parts.app, listener):
        start = asyncio.create_task(_start(parts), name="start")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if start.done() and start.exception() is None:
            await stopped
        stopped.cancel()
        parts.health.draining = True
        if not start.done():
            start.cancel()
            await asyncio.wait({start})
        await parts.broker.stop()
        if not start.cancelled():
            start.result()
    await asyncio.to_thread(flush_traces, tracing)
    log.info("service_stopped")


async def _start(parts: Deliverer) -> None:
    await _until(parts.store.ensure_bucket, "bucket_not_ready")
    await _until(parts.broker.start, "queues_not_ready")
    parts.health.receiving = True
    log.info("service_ready")


async def _until(act: Callable[[], Awaitable[object]], event: str) -> None:
    """Do ``act``, again and again while the service behind it is away."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await act()
        except TransientError as error:
            log.warning(event, code=error.code, reason=error.message)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            return


def unusable(error: ValidationError) -> str:
    """Say which variable is wrong, a line each, without a traceback and without its value."""
    lines = [
        f"{'_'.join(['CARIMBO', *(str(part) for part in problem['loc'][:1])]).upper()}: "
        f"{problem['msg']}"
        for problem in error.errors(include_input=False)
    ]
    return "\n".join(["The callback service's settings cannot be used:", *lines])
