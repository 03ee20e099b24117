from __future__ import annotations

import asyncio

import pytest

from callbacks import hosts
from callbacks.hosts import HostTurns
from common.errors import TransientError


async def test_a_full_host_does_not_keep_another_waiting() -> None:
    turns = HostTurns(1)

    async with turns.turn("a"), turns.turn("b"):
        pass


async def test_who_finds_no_place_waits_a_moment_and_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "PATIENCE_SECONDS", 0.05)
    turns = HostTurns(1)

    async with turns.turn("a"):
        with pytest.raises(TransientError) as busy:
            async with turns.turn("a"):
                pass

    assert busy.value.code == "callback-host-busy"


async def test_nobody_waits_for_a_host_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "PATIENCE_SECONDS", 60)
    turns = HostTurns(1)

    async with turns.turn("a"):
        turns.report("a", is_answering=False)
        with pytest.raises(TransientError):
            async with asyncio.timeout(5), turns.turn("a"):
                pass


async def test_a_place_that_is_given_back_is_taken_by_who_waits() -> None:
    turns = HostTurns(1)
    order = []

    async def call(name: str) -> None:
        async with turns.turn("a"):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(str(number)) for number in range(5)))

    assert len(order) == 5


async def test_an_idle_host_is_not_remembered() -> None:
    turns = HostTurns(1)

    async with turns.turn("a"):
        turns.report("a", is_answering=False)

    assert turns._lanes == {}
