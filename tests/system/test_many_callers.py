"""Many callers at once over several producers and consumers: each gets its own answer."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from benchmarks.load import Answer, Upload, drive
from tests.system.conftest import REPLICAS, RunningSystem
from tests.system.files import account_file, bad_lines, good_lines

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MODEL = "card-accounts"
CALLS = 2_000
IN_FLIGHT = 32


def uploads(running_system: RunningSystem, count: int, *, wait_seconds: int) -> list[Upload]:
    return [
        Upload(
            running_system.predictions_url(MODEL, producer=number % REPLICAS),
            account_file(number),
            wait_seconds,
        )
        for number in range(count)
    ]


def is_the_callers_own(number: int, answer: Answer) -> bool:
    return (
        answer.status == 200
        and answer.body["id"] == answer.prediction_id
        and [row["line"] for row in answer.body["rows"]] == good_lines(number)
        and [violation["line"] for violation in answer.body["violations"]] == bad_lines(number)
    )


async def test_every_answer_is_the_callers_own(running_system: RunningSystem) -> None:
    calls = uploads(running_system, CALLS, wait_seconds=10)

    answers = await drive(calls, in_flight=IN_FLIGHT)

    strangers = [
        (number, answer.status, answer.body)
        for number, answer in enumerate(answers)
        if not is_the_callers_own(number, answer)
    ]
    assert strangers == []
    assert len({answer.prediction_id for answer in answers}) == CALLS


async def test_a_killed_consumer_costs_no_caller_an_answer(running_system: RunningSystem) -> None:
    calls = uploads(running_system, 400, wait_seconds=50)
    victim = running_system.system.pid_of(running_system.consumers[0])

    driving = asyncio.ensure_future(drive(calls, in_flight=IN_FLIGHT))
    await asyncio.sleep(0.5)
    os.killpg(victim, signal.SIGKILL)
    answers = await driving
    running_system.system.mend()

    assert all(is_the_callers_own(number, answer) for number, answer in enumerate(answers))
