"""The life of a worker: models first, then requests; at SIGTERM the requests in hand, then out."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import lightgbm
import structlog
import uvloop
from pydantic import ValidationError

from common.errors import PermanentError, TransientError
from common.serving import bind, serving
from common.telemetry import configure_logging, configure_tracing, flush_traces
from consumer.settings import Settings
from consumer.wiring import Worker, worker

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def run() -> int:
    """Run a worker until it is told to stop; returns the process's exit status."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # the environment has them
    except ValidationError as error:
        print(unusable(error), file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    configure_logging(settings)
    lightgbm.register_logger(logging.getLogger("lightgbm"))  # it prints otherwise
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        log.error("port_not_available", host=settings.host, port=settings.port, reason=str(error))  # noqa: TRY400
        return 1
    try:
        uvloop.run(serve(settings, listener))
    except PermanentError as error:
        log.error("worker_cannot_work", code=error.code, reason=error.message)  # noqa: TRY400
        return 1
    return 0


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand."""
    tracing = configure_tracing("carimbo-consumer")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with worker(settings) as parts, serving(parts.app, listener):
        work = asyncio.create_task(_work(parts, settings), name="work")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        parts.health.draining = True
        if not work.done():
            log.info("worker_stopping")
            work.cancel()
        await asyncio.wait({work})
        await parts.broker.stop()
        if not work.cancelled():
            work.result()
    await asyncio.to_thread(flush_traces, tracing)
    log.info("worker_stopped")


async def _work(parts: Worker, settings: Settings) -> None:
    """Get ready, start to receive, and follow the aliases for ever."""
    started = time.perf_counter()
    following = asyncio.create_task(parts.aliases.follow(settings.registry_refresh), name="aliases")
    try:
        await asyncio.gather(
            _until(parts.store.ensure_bucket, "bucket_not_ready"),
            _until(parts.broker.connect, "queue_service_not_ready"),
            _first(parts.aliases.complete.wait(), following),
        )
        await _until(parts.broker.start, "queues_not_ready")
        parts.health.receiving = True
        seconds = round(time.perf_counter() - started, 3)
        # What is there now mostly stays: full collections need not look at it again, each time for
        # tens of milliseconds in which no lease is renewed and no reply sent.
        gc.collect()
        gc.freeze()
        log.info("worker_ready", versions=parts.aliases.versions, seconds=seconds)
        await following
    finally:
        following.cancel()


async def _first(awaited: Coroutine[Any, Any, object], unless: asyncio.Task[None]) -> None:
    """Wait for one thing, unless another that never ends has failed: then raise why."""
    task = asyncio.create_task(awaited)
    try:
        await asyncio.wait({task, unless}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
    if unless.done():
        unless.result()


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
    """Say which variable is wrong, a line each, without a traceback."""
    lines = [
        f"CARIMBO_{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
        for problem in error.errors()
    ]
    return "\n".join(["The worker's settings cannot be used:", *lines])
