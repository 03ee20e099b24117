"""Waiting for processes to answer, in whatever order they come up."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

from client.errors import CommandError
from client.local.children import Child

POLL_SECONDS = 0.1
REQUEST_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A child, and the address that answers 200 once it is ready."""

    child: Child
    url: str
    timeout_seconds: float


def wait_until_ready(
    awaited: Sequence[Awaited], on_ready: Callable[[Awaited], None] = lambda _: None
) -> None:
    """Wait for all of them; ``on_ready`` is told of each as it comes.

    Raises:
        CommandError: one ended, or did not answer within its time-out.
    """
    started = time.monotonic()
    waiting = list(awaited)
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False) as client:
        while waiting:
            for one in tuple(waiting):
                if one.child.exit_code is not None:
                    raise CommandError(obituary(one.child))
                if _answers(client, one.url):
                    waiting.remove(one)
                    on_ready(one)
                elif time.monotonic() - started > one.timeout_seconds:
                    raise CommandError(
                        f"{one.child.name} did not answer at {one.url} within "
                        f"{one.timeout_seconds:.0f} s. {_last_words(one.child)}"
                    )
            if waiting:
                time.sleep(POLL_SECONDS)


def obituary(child: Child) -> str:
    """Say that a child ended by itself, and what it said last."""
    code = child.exit_code
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"{child.name} ended by itself ({how}). {_last_words(child)}"


def free_port(preferred: int = 0) -> int:
    """A loopback port that nothing listens on at this moment: ``preferred`` if it can be had."""
    with suppress(OSError):
        return _bind(preferred)
    return _bind(0)


def require_free_port(port: int) -> None:
    """Refuse to start where somebody else answers.

    Raises:
        CommandError: the port cannot be listened on.
    """
    try:
        _bind(port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(
            f"Cannot listen on port {port} of 127.0.0.1: {reason}. Stop the program that does, or "
            "choose another port: carimbo run --port, or make run PORT="
        ) from error


def _bind(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        bound: int = probe.getsockname()[1]
        return bound


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _last_words(child: Child) -> str:
    tail = child.tail()
    if not tail:
        return f"Its log, {child.log}, is empty."
    indented = "\n".join(f"    {line}" for line in tail.splitlines())
    return f"The end of {child.log}:\n{indented}"
