from __future__ import annotations

import asyncio

import pytest

from common.errors import TransientError
from common.registry import Registry
from consumer.aliases import Aliases
from consumer.health import STALLED_SECONDS, Health
from consumer.loading import Loader
from consumer.version_cache import SpareRoom, VersionCache


def health(*, idle_seconds: float = 0.0, models: tuple[str, ...] = ()) -> Health:
    registry = Registry("http://127.0.0.1:9")
    aliases = Aliases(registry, VersionCache(Loader(registry).load, SpareRoom(1, 1)), models)
    return Health(aliases=aliases, pings={}, idle_seconds=lambda: idle_seconds, receiving=True)


async def test_a_worker_whose_receives_have_stopped_is_not_alive() -> None:
    assert (await health(idle_seconds=STALLED_SECONDS - 1).live()).problems == []
    assert (await health(idle_seconds=STALLED_SECONDS + 1).live()).problems


async def test_a_worker_whose_queue_service_is_away_is_alive_for_as_long_as_that_takes() -> None:
    """A restart would bring nothing back, and would throw the loaded models away."""
    away = True

    async def ping() -> None:
        if away:
            raise TransientError("away", "it is away")

    judged = health(idle_seconds=STALLED_SECONDS + 1)
    judged.pings = {"queue service": ping}
    assert (await judged.live()).problems == []
    away = False
    assert (await judged.live()).problems


async def test_a_worker_with_all_it_needs_is_ready() -> None:
    assert (await health().ready()).status == "ready"


@pytest.mark.parametrize("what", ["model", "receives", "stopping"])
async def test_a_worker_that_cannot_work_is_not_ready_and_says_why(what: str) -> None:
    judged = health(models=("parcels",) if what == "model" else ())
    judged.receiving = what != "receives"
    judged.draining = what == "stopping"

    condition = await judged.ready()

    assert condition.status == "not ready"
    assert len(condition.problems) == 1


async def test_a_service_that_fails_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.health.PING_TIMEOUT_SECONDS", 0.05)

    async def fails() -> None:
        raise TransientError("away", "it is away")

    async def hangs() -> None:
        await asyncio.sleep(60)

    judged = health()
    judged.pings = {"first": fails, "second": hangs}

    problems = (await judged.ready()).problems

    assert [("first" in p, "second" in p) for p in problems] == [(True, False), (False, True)]
