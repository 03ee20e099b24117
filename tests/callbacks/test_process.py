from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from callbacks.settings import Settings
from client.local.engine import free_port
from tests.callbacks.conftest import NEW_SECRET, Desk
from tests.callbacks.receivers import Receiver
from tests.callbacks.test_delivery import verify

STOP_SECONDS = 30.0


class Process:
    """``python -m callbacks`` in a process group of its own."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "callbacks"],
                env={"PATH": os.environ["PATH"], **environment, "CARIMBO_PORT": str(port)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def when_ready(self) -> None:
        """Return once /health/ready says so."""
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self._status) != 200:
                assert self._process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def page(self, path: str) -> str:
        """What the process serves there."""
        return await asyncio.to_thread(self._page, path)

    def kill(self) -> None:
        """SIGKILL: no code of the process runs any more."""
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    async def terminate(self) -> int:
        """SIGTERM, and the exit status that follows."""
        self._signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, STOP_SECONDS)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _page(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - loopback
            content: bytes = answer.read()
        return content.decode()

    def _status(self) -> int:
        try:
            self._page("/health/ready")
        except urllib.error.HTTPError as refusal:
            return refusal.code
        except OSError:
            return 0
        return 200


@pytest.fixture
def start(
    settings: Settings, aws_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[], Process]]:
    """Starts processes, and ends those that are left."""
    with ExitStack() as stack:

        def started() -> Process:
            process = Process(
                {
                    **aws_environment,
                    "CARIMBO_CALLBACK_SECRETS": NEW_SECRET,
                    "CARIMBO_CALLBACK_ALLOW": "127.0.0.1",
                    "CARIMBO_CALLBACK_SCHEDULE": "0,2,1",
                    "CARIMBO_QUEUE_PREFIX": settings.queue_prefix,
                    "CARIMBO_BUCKET": settings.bucket,
                    "CARIMBO_VISIBILITY": "2",
                },
                tmp_path / "callbacks.log",
            )
            stack.callback(process.kill)
            return process

        yield started


async def test_killed_between_two_attempts_it_still_delivers(
    desk: Desk, receiver: Receiver, start: Callable[[], Process]
) -> None:
    receiver.script = [500]
    first = start()
    prediction_id = await desk.order(receiver.url)
    await receiver.when_called(1)
    first.kill()

    start()
    await receiver.when_called(2)
    await desk.when_settled()

    assert (await desk.outcomes(prediction_id))[-1] == 204
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    for call in receiver.calls:
        verify(call)


async def test_killed_in_the_middle_of_an_attempt_it_makes_it_again(
    desk: Desk, receiver: Receiver, start: Callable[[], Process]
) -> None:
    receiver.hold()
    first = start()
    prediction_id = await desk.order(receiver.url)
    await receiver.when_called(1)
    first.kill()
    assert receiver.held is not None
    receiver.held.set()

    start()
    await receiver.when_called(2)
    await desk.when_settled()

    assert await desk.outcomes(prediction_id) == [204]
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1


async def test_sigterm_lets_the_attempt_under_way_finish(
    desk: Desk, receiver: Receiver, start: Callable[[], Process]
) -> None:
    receiver.hold()
    process = start()
    await process.when_ready()
    prediction_id = await desk.order(receiver.url)
    await receiver.when_called(1)

    stopping = asyncio.create_task(process.terminate())
    await asyncio.sleep(0.5)
    assert not stopping.done()
    assert receiver.held is not None
    receiver.held.set()

    assert await stopping == 0
    assert await desk.outcomes(prediction_id) == [204]
    await desk.when_settled()


async def test_neither_log_nor_metrics_tell_what_was_delivered_or_where(
    desk: Desk, receiver: Receiver, start: Callable[[], Process]
) -> None:
    receiver.status = 410
    receiver.answer_body = b"canary-answer"
    process = start()
    prediction_id = await desk.order(receiver.url + "?token=canary-token")
    await receiver.when_called(1)
    await desk.when_settled()
    metrics = await process.page("/metrics")
    asyncapi = await process.page("/asyncapi")
    assert await process.terminate() == 0

    log = process.log.read_text()
    assert prediction_id in log
    assert "callback-gone" in metrics
    assert "CallbackOrder" in asyncapi
    stored = [str(attempt) for attempt in await desk.log(prediction_id)]
    for told in (log, metrics, *stored):
        assert "canary" not in told
        assert NEW_SECRET not in told
