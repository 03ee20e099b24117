"""``python -m producer``: one replica, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError

from common.errors import PermanentError
from common.telemetry import configure_logging, configure_tracing, flush_traces
from producer.settings import Settings
from producer.wiring import Producer, running_producer

FINISH_SECONDS = 20
"""What requests in flight get to finish after SIGTERM; Kubernetes kills after 30."""

KEEP_ALIVE_SECONDS = 75
"""Longer than common load balancers keep an idle connection, so that they close it first."""

log = structlog.get_logger("producer")


class Server(uvicorn.Server):
    """Tells the producer of a signal to stop at once: long polls must not hold up the stop."""

    def __init__(self, producer: Producer, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._producer = producer

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave."""
        self._producer.stopping = True
        super().handle_exit(sig, frame)


def main() -> int:
    """Run a producer; the exit status is 0 after a stop that was asked for."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(_unusable(error), file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    configure_logging(settings)
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        log.error(  # noqa: TRY400 - a taken port is no fault of the code
            "cannot listen", host=settings.host, port=settings.port, reason=error.strerror
        )
        return 1
    # uvicorn raises the signal again once it has shut down: then there is nothing left to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        return uvloop.run(_serve(settings, listener))
    except PermanentError as error:
        log.error("cannot start", code=error.code, reason=error.message)  # noqa: TRY400
        return 2


async def _serve(settings: Settings, listener: socket.socket) -> int:
    tracing = configure_tracing("carimbo-producer")
    failed = False
    server: uvicorn.Server | None = None

    def stop_failed() -> None:
        nonlocal failed
        failed = True
        if server is not None:
            server.should_exit = True

    async with running_producer(settings, tracing, stop_failed) as producer:
        server = Server(
            producer,
            uvicorn.Config(
                producer.app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=FINISH_SECONDS,
            ),
        )
        host, port, *_ = listener.getsockname()
        log.info("listening", host=host, port=port)
        await server.serve(sockets=[listener])
    await asyncio.to_thread(flush_traces, tracing)
    log.info("stopped", failed=failed)
    return 1 if failed else 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _unusable(error: ValidationError) -> str:
    """One line a setting: its variable and what is wrong with it."""
    lines = [
        f"  {'_'.join(map(str, found['loc'])).upper()}: {found['msg']}" for found in error.errors()
    ]
    return "\n".join(["The producer's settings cannot be used:", *lines])


if __name__ == "__main__":
    sys.exit(main())
