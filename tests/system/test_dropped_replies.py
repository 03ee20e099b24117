"""Every reply is lost on its way: callers get their labels all the same, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.load import Answer, Upload, drive
from client.local.services import Service
from tests.system.cables import draining
from tests.system.conftest import RunningSystem
from tests.system.files import account_file, bad_lines, good_lines
from tests.system.replicas import (
    a_consumer,
    a_producer,
    metric,
    own_names,
    predictions_url,
    running,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CALLS = 60
IN_FLIGHT = 4


@pytest.fixture
def deaf(running_system: RunningSystem) -> Iterator[tuple[Service, list[str]]]:
    """A producer whose worker's replies are swallowed; with what was swallowed."""
    surroundings = running_system.system.surroundings
    names = own_names()
    with draining(surroundings.engine, lambda queue: "-replies-" in queue) as (sqs, swallowed):
        producer, consumer = a_producer(**names), a_consumer(**names, AWS_ENDPOINT_URL_SQS=sqs)
        with running(surroundings, producer, consumer):
            yield producer, swallowed


def is_the_callers_own(number: int, answer: Answer) -> bool:
    return (
        answer.status == 200
        and [row["line"] for row in answer.body["rows"]] == good_lines(number)
        and [violation["line"] for violation in answer.body["violations"]] == bad_lines(number)
    )


@pytest.mark.parametrize("wait_seconds", [1, 10])
async def test_every_reply_is_dropped_and_every_caller_is_answered_within_its_wait(
    deaf: tuple[Service, list[str]], wait_seconds: int
) -> None:
    producer, swallowed = deaf
    url = predictions_url(producer)
    await drive([Upload(url, account_file(0), 10)], in_flight=1)
    calls = [Upload(url, account_file(number), wait_seconds) for number in range(CALLS)]

    answers = await drive(calls, in_flight=IN_FLIGHT)

    assert [a.status for n, a in enumerate(answers) if not is_the_callers_own(n, a)] == []
    told = {answer.prediction_id for answer in answers}
    assert all(any(identity in body for body in swallowed) for identity in told)
    by_source = {
        source: await asyncio.to_thread(
            metric, producer, "carimbo_answered_from_total", source=source
        )
        for source in ("reply", "store")
    }
    assert by_source == {"reply": 0.0, "store": CALLS + 1.0}
