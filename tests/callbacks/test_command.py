from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from callbacks.settings import Settings
from client.__main__ import main
from tests.callbacks.conftest import Desk, Running
from tests.callbacks.receivers import Receiver

Command = Callable[..., Awaitable[str]]


@pytest.fixture
def carimbo(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs ``carimbo callbacks ...`` and gives what it said, which must have been a success."""
    monkeypatch.setenv("CARIMBO_QUEUE_PREFIX", settings.queue_prefix)
    monkeypatch.setenv("CARIMBO_BUCKET", settings.bucket)

    async def run(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        found = await asyncio.to_thread(main, ["callbacks", *arguments])
        said = capsys.readouterr()
        assert found == status, said
        return said.out + said.err

    return run


async def test_a_callback_that_was_given_up_is_shown_and_delivered_by_a_replay(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver, carimbo: Command
) -> None:
    once = settings.model_copy(update={"callback_schedule": settings.callback_schedule[:1]})
    receiver.script = [500]

    async with running(once):
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()
        assert await desk.buried() == 1
        dead = await carimbo("dead")
        await carimbo("replay", prediction_id)
        await receiver.when_called(2)
        await desk.when_settled()
        log = await carimbo("log", prediction_id)

    assert prediction_id in dead
    assert "callback-exhausted" in dead
    assert await desk.outcomes(prediction_id) == [500, 204]
    assert "HTTP 500" in log
    assert "HTTP 204" in log
    first, second = receiver.calls
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_callback_that_was_delivered_is_delivered_again_by_a_replay(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver, carimbo: Command
) -> None:
    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await receiver.when_called(1)
        await desk.when_settled()
        await carimbo("replay", prediction_id)
        await receiver.when_called(2)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [204, 204]


async def test_all_that_were_given_up_are_replayed_once_and_leave_the_dead_letters(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver, carimbo: Command
) -> None:
    receiver.status = 410

    async with running(settings):
        ids = [await desk.order(receiver.url) for _ in range(12)]
        await desk.when_settled()
        assert await desk.buried() == 12
        receiver.status = 204
        assert "12 callbacks" in await carimbo("replay", "--dead")
        await receiver.when_called(24)
        await desk.when_settled()

    assert [await desk.outcomes(prediction_id) for prediction_id in ids] == [[410, 204]] * 12
    assert await desk.buried() == 0


async def test_what_is_given_up_anew_during_a_replay_is_not_replayed_for_ever(
    desk: Desk, running: Running, settings: Settings, receiver: Receiver, carimbo: Command
) -> None:
    receiver.status = 410

    async with running(settings):
        prediction_id = await desk.order(receiver.url)
        await desk.when_settled()
        assert "1 callbacks" in await carimbo("replay", "--dead")
        await receiver.when_called(2)
        await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [410, 410]
    assert await desk.buried() == 1


async def test_a_prediction_without_a_callback_is_said_to_have_none(
    running: Running, settings: Settings, carimbo: Command
) -> None:
    async with running(settings):
        for act in ("log", "replay"):
            said = await carimbo(act, str(uuid4()), status=1)
            assert "No callback of the prediction" in said
        assert "No callback was given up" in await carimbo("dead")
