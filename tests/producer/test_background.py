from __future__ import annotations

import asyncio

import pytest

from producer.background import Background, watch_loop_lag


async def fail() -> None:
    raise ValueError("a bug")


async def end() -> None:
    await asyncio.sleep(0)


async def last_for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("work", [fail, end])
async def test_a_task_that_ends_on_its_own_is_reported_as_failed(work: object) -> None:
    failed: list[str] = []
    background = Background(failed.append)
    background.start("follower", work())  # type: ignore[operator]
    async with asyncio.timeout(5):
        while not failed:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert (failed, background.failed) == (["follower"], "follower")
    await background.stop()


async def test_a_stop_is_no_failure() -> None:
    failed: list[str] = []
    background = Background(failed.append)
    background.start("follower", last_for_ever())
    await asyncio.sleep(0)
    await background.stop()
    assert (failed, background.failed) == ([], None)


async def test_a_loop_that_is_held_up_is_seen() -> None:
    lags: list[float] = []
    watching = asyncio.create_task(watch_loop_lag(lags.append, period_seconds=0.01))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    held_until = loop.time() + 0.1
    while loop.time() < held_until:
        pass
    while not lags:  # noqa: ASYNC110
        await asyncio.sleep(0)
    watching.cancel()
    assert lags[0] > 0.05
