"""Whether this replica can serve now, check by check (liveness is the edge's)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

CHECK_TIMEOUT_SECONDS = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, else a sentence on what is not. Never raises but by a bug."""


class Readiness(msgspec.Struct, frozen=True):
    """``checks`` maps each check's name to ``ok`` or to what is wrong."""

    ready: bool
    checks: dict[str, str]


async def run_checks(checks: Mapping[str, Check]) -> Readiness:
    """Run every check side by side, each for at most two seconds."""
    answers = await asyncio.gather(*map(_bounded, checks.values()))
    found = {name: answer or "ok" for name, answer in zip(checks, answers, strict=True)}
    return Readiness(ready=not any(answers), checks=found)


async def _bounded(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"did not answer within {CHECK_TIMEOUT_SECONDS:g} s"
