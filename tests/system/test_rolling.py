"""Replicas leave under load, one after the other: callers do not notice, nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.load import Answer
from benchmarks.rolling import REPLICAS, Fleet, roll
from client.settings import local_aws
from tests.system.conftest import RunningSystem
from tests.system.files import account_file, bad_lines, good_lines

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

KINDS = ("producer", "consumer", "producer", "consumer")


@pytest.fixture
def fleet(running_system: RunningSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    surroundings = running_system.system.surroundings
    for name, value in local_aws(surroundings.engine).items():
        monkeypatch.setenv(name, value)
    made = Fleet(surroundings)
    try:
        for kind in ("consumer", "producer") * REPLICAS:
            made.start(kind)
        yield made
    finally:
        made.stop()


def file_of(number: int) -> bytes:
    return account_file(number % 4096)


def is_the_callers_own(number: int, answer: Answer | str) -> bool:
    return (
        isinstance(answer, Answer)
        and answer.status == 200
        and [row["line"] for row in answer.body["rows"]] == good_lines(number % 4096)
        and [each["line"] for each in answer.body["violations"]] == bad_lines(number % 4096)
    )


async def test_no_caller_notices_that_replicas_are_replaced(fleet: Fleet) -> None:
    rolled = await roll(fleet, file_of, KINDS)

    strangers = [
        answer if isinstance(answer, str) else (answer.status, answer.body)
        for number, answer in enumerate(rolled.answers)
        if not is_the_callers_own(number, answer)
    ]
    assert strangers == []
    assert len(rolled.answers) > len(KINDS)
    assert rolled.exit_codes == [0] * len(KINDS)
    assert (rolled.in_flight, rolled.reply_queues_left, rolled.messages_left) == (0, 0, 0)
