from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from callbacks.schedule import Attempt, Bury, Delivered, Schedule, Step, Wait, Wanted
from common.callbacks.orders import COMPLETED, FAILED, CallbackAttempt

ORDERED = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULE = Schedule([timedelta(0), timedelta(seconds=5), timedelta(minutes=5)])


def tried(
    number: int, outcome: int | str, *, at: int = 0, kind: str = COMPLETED
) -> CallbackAttempt:
    is_status = isinstance(outcome, int)
    return CallbackAttempt(
        attempt=number,
        type=kind,
        at=ORDERED + timedelta(seconds=at),
        ms=1,
        status=outcome if is_status else None,  # type: ignore[arg-type]
        error=None if is_status else outcome,  # type: ignore[arg-type]
    )


def step(log: list[CallbackAttempt], *, now: int = 0, after: int = 0) -> Step:
    wanted = Wanted(COMPLETED, ORDERED, after)
    return SCHEDULE.next_step(log, wanted, ORDERED + timedelta(seconds=now))


def test_the_first_attempt_is_made_at_once() -> None:
    assert step([]) == Attempt(number=1, made=0)


def test_the_next_attempt_waits_for_its_pause_from_the_last_one() -> None:
    log = [tried(1, 500, at=10)]

    assert step(log, now=11) == Wait(4)
    assert step(log, now=15) == Attempt(number=2, made=1)


def test_a_clock_that_is_hours_behind_never_makes_a_pause_longer() -> None:
    assert step([tried(1, "timeout", at=36_000)], now=0) == Wait(5)


def test_what_was_delivered_is_not_delivered_again() -> None:
    assert step([tried(1, 500), tried(2, 204)], now=3_600) == Delivered()


def test_a_replay_begins_anew_and_goes_on_in_the_log() -> None:
    log = [tried(1, 500), tried(2, 500), tried(3, 500)]

    assert step(log, after=3) == Attempt(number=4, made=0)
    assert step([*log, tried(4, 500)], after=3, now=5) == Attempt(number=5, made=1)


def test_attempts_of_another_event_do_not_count() -> None:
    assert step([tried(1, 204, kind=FAILED)]) == Attempt(number=2, made=0)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (410, "callback-gone"),
        ("url-refused", "callback-refused"),
        ("address-refused", "callback-refused"),
    ],
)
def test_some_outcomes_are_final(outcome: int | str, code: str) -> None:
    found = step([tried(1, outcome)], now=3_600)

    assert isinstance(found, Bury)
    assert found.code == code
    assert SCHEDULE.after_attempt(tried(1, outcome), made=1) == found


def test_a_used_up_schedule_ends_however_often_it_is_looked_at() -> None:
    log = [tried(1, 500), tried(2, 500), tried(3, "timeout")]

    found = step(log, now=1)

    assert found == Bury("callback-exhausted", "All 3 attempts failed. The last: timeout.")
    assert SCHEDULE.after_attempt(log[-1], made=3) == found


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    assert SCHEDULE.after_attempt(tried(1, status), made=1) == Delivered()


@pytest.mark.parametrize("status", [199, 300, 301, 307, 400, 404, 429, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    found = SCHEDULE.after_attempt(tried(1, status), made=1)

    assert isinstance(found, Wait)
    assert 5 <= found.seconds <= 5.5
