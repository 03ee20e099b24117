"""What a worker says of itself over HTTP: is it alive, can it work, what does it measure.

Alive is not ready: a worker without its model answers here, and must not be killed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from faststream.asgi import AsgiResponse, get
from prometheus_client import make_asgi_app

from common.errors import CarimboError
from consumer.aliases import Aliases

PING_TIMEOUT_SECONDS = 2.0
STALLED_SECONDS = 120.0
"""A poll ends within seconds; so long without one means that the receiving has died."""

Route = tuple[str, Any]
Ping = Callable[[], Awaitable[None]]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of health: ``problems`` stop the work, ``notes`` do not."""

    status: str
    problems: list[str] = []
    notes: list[str] = []
    versions: dict[str, dict[str, str]] = {}


@dataclass(slots=True)
class Health:
    """Judges a worker by its parts. ``pings`` ask what it cannot work without, by name."""

    aliases: Aliases
    pings: dict[str, Ping]
    idle_seconds: Callable[[], float]
    receiving: bool = False
    draining: bool = False

    async def live(self) -> Condition:
        """Whether the process should go on: it answers, and its receives do.

        While something that it needs is away no receive ends, and a restart would mend nothing.
        """
        idle = self.idle_seconds()
        if idle < STALLED_SECONDS:
            return Condition(status="alive")
        away = await self._away()
        if away:
            return Condition(status="alive", notes=away)
        stalled = f"no receive has ended for {idle:.0f} s"
        return Condition(status="stalled", problems=[stalled])

    async def ready(self) -> Condition:
        """Whether requests are worked on: models loaded, receiving, queues and store there."""
        problems = [f"no version of {model} is loaded yet" for model in self.aliases.missing]
        if self.draining:
            problems.append("the worker is stopping")
        elif not self.receiving:
            problems.append("the worker does not receive yet")
        problems += await self._away()
        return Condition(
            status="not ready" if problems else "ready",
            problems=problems,
            notes=self.aliases.troubles,
            versions=self.aliases.versions,
        )

    async def _away(self) -> list[str]:
        found = await asyncio.gather(*(_ping(name, ping) for name, ping in self.pings.items()))
        return [problem for problem in found if problem is not None]

    def routes(self) -> list[Route]:
        """The ASGI routes: ``/health/live``, ``/health/ready`` and ``/metrics``."""

        @get(description="Is the process alive?")
        async def live(scope: Any) -> AsgiResponse:  # noqa: ARG001 - ASGI's shape
            return _answer(await self.live())

        @get(description="Are requests worked on?")
        async def ready(scope: Any) -> AsgiResponse:  # noqa: ARG001 - ASGI's shape
            return _answer(await self.ready())

        return [
            ("/health/live", live),
            ("/health/ready", ready),
            ("/metrics", make_asgi_app()),
        ]


async def _ping(name: str, ping: Ping) -> str | None:
    try:
        async with asyncio.timeout(PING_TIMEOUT_SECONDS):
            await ping()
    except TimeoutError:
        return f"the {name} gave no answer within {PING_TIMEOUT_SECONDS:g} s"
    except CarimboError as error:
        return f"the {name} cannot be used: {error.message}"
    return None


def _answer(condition: Condition) -> AsgiResponse:
    return AsgiResponse(
        msgspec.json.encode(condition),
        status_code=503 if condition.problems else 200,
        headers={"content-type": "application/json", "cache-control": "no-store"},
    )
