"""``python -m producer``: one replica, until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
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

SWITCH_SECONDS = 0.0005
"""How long a thread that reads a file may keep the interpreter while the event loop waits for it;
Python's own 5 ms, for each of two such threads, is a tenth of what a refusal may take."""

log = structlog.get_logger("producer")


class Server(uvicorn.Server):
    """Leaves in two steps: first it says so and goes on serving, then it stops to listen.

    A balancer learns of the stop a moment after the signal. Until it has, requests keep coming,
    and a closed socket would refuse them. So for ``notice_seconds`` the replica is unready, serves
    whoever comes, and asks every connection to go elsewhere next. A second signal ends the notice,
    and so does a person's Ctrl-C.
    """

    def __init__(self, producer: Producer, config: uvicorn.Config, notice_seconds: float) -> None:
        super().__init__(config)
        self._producer = producer
        self._notice_seconds = notice_seconds
        self._leaves_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave: readiness says so, and long polls end."""
        self._producer.stopping = True
        if sig == signal.SIGTERM and self._leaves_at is None and self._notice_seconds > 0:
            self._leaves_at = time.monotonic() + self._notice_seconds
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop to listen once the notice is over."""
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            self.should_exit = True
        return await super().on_tick(counter)


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
    sys.setswitchinterval(SWITCH_SECONDS)
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
            settings.leave_notice.total_seconds(),
        )
        host, port, *_ = listener.getsockname()
        # What is there now stays until the end: without this, every full collection looks at all of
        # it again, 80 ms in which nobody is answered.
        gc.collect()
        gc.freeze()
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
