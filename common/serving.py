"""A worker's HTTP side: health and metrics, served from before the first receive to the last reply.

The socket is bound before anything else, so that a port in use is told at once and in one line.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

CLOSE_SECONDS = 2


class _Server(uvicorn.Server):
    """Leaves signals to the service, whose queues must be drained while health still answers."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        OSError: somebody else has it, or the address is not this machine's.
    """
    return socket.create_server((host, port), backlog=128)


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve ``app`` on ``listener`` for as long as the block runs."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield
    finally:
        server.should_exit = True
        await task
