"""The service's long-lived tasks: one that ends on its own has failed, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger("producer.background")


class Background:
    """Runs tasks that should never end. The first that does makes the process stop.

    Args:
        on_failure: called once a task, with its name, when one ends or raises.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: str | None = None

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` until ``stop``."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel every task and wait until all have ended."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        self.failed = task.get_name()
        _log.error("background task ended", task=self.failed, exc_info=task.exception())
        self._on_failure(self.failed)


async def watch_loop_lag(report: Callable[[float], None], *, period_seconds: float = 0.02) -> None:
    """Report for ever how many seconds late the event loop wakes a sleeper.

    As often as costs a thousandth of the CPU: whether a file is taken on depends on it.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period_seconds
        await asyncio.sleep(period_seconds)
        report(max(0.0, loop.time() - due))
