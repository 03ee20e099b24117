"""A command that runs until a person stops it: its progress lines and its signals."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Ctrl-C, or the signal of another program that wants the system to end."""


class Progress:
    """Lines with the seconds since the start, so that a wait is seen to be one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line of progress."""
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:6.1f} s  {text}", soft_wrap=True, markup=False)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise ``StopRequested`` inside the block when asked to stop."""

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        raise StopRequested

    with _handling(request_stop):
        yield


@contextmanager
def kill_on_signals(kill_all: Callable[[], None]) -> Iterator[None]:
    """Stop waiting for anybody to finish when asked once more."""

    def kill(_number: int, _frame: FrameType | None) -> None:
        kill_all()

    with _handling(kill):
        yield


@contextmanager
def _handling(handler: signal._HANDLER) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
