from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.admission import (
    AT_HAND,
    FRESH_SECONDS,
    LATE_SECONDS,
    Load,
    LoadMeter,
    Pulse,
    predicted_wait,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> LoadMeter:
    return LoadMeter(clock)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(), 0.0),
        (Load(awaited=100), 0.0),
        (Load(awaited=100, answer_rate=50.0), 2.0),
        (Load(awaited=AT_HAND, answer_rate=1.0, silent_seconds=9.0), 0.0),
        (Load(awaited=1, answer_rate=0.1, queued=1), 10.0),
        (Load(queued=600), 0.0),
        (Load(queued=600, drain_rate=100.0), 6.0),
        (Load(awaited=100, answer_rate=100.0, queued=600, drain_rate=100.0), 6.0),
        (Load(awaited=600, answer_rate=100.0, queued=600, drain_rate=200.0), 6.0),
        (Load(awaited=5, answer_rate=100.0, queued=5, drain_rate=100.0, silent_seconds=7.0), 7.0),
    ],
)
def test_the_wait_is_the_work_ahead_over_the_rate_at_which_it_is_done(
    load: Load, expected: float
) -> None:
    assert predicted_wait(load) == pytest.approx(expected)


@given(
    st.builds(
        Load,
        awaited=st.integers(0, 10_000),
        answer_rate=st.none() | st.floats(0, 1e6),
        queued=st.integers(0, 10**6),
        drain_rate=st.none() | st.floats(0, 1e6),
        silent_seconds=st.floats(0, 1e4),
    )
)
def test_more_work_ahead_never_shortens_the_wait(load: Load) -> None:
    more = Load(
        load.awaited + 1, load.answer_rate, load.queued + 1, load.drain_rate, load.silent_seconds
    )
    assert 0.0 <= predicted_wait(load) <= predicted_wait(more)


def test_nothing_measured_is_no_reason_to_refuse(meter: LoadMeter) -> None:
    for _ in range(200):
        meter.sent()
    assert predicted_wait(meter.load()) == 0.0


def test_many_answered_slowly_predict_that_the_next_waits_as_long(
    meter: LoadMeter, clock: Clock
) -> None:
    """50 a second, 100 of them under way: two seconds."""
    under_way = [meter.sent() for _ in range(100)]
    clock.now += 2.0
    for _ in range(200):
        meter.ended(under_way.pop(0), is_answered=True)
        under_way.append(meter.sent())
        clock.now += 0.02
    assert predicted_wait(meter.load()) == pytest.approx(2.0, rel=0.05)


def test_late_answers_of_what_a_dead_worker_held_do_not_slow_the_living(
    meter: LoadMeter, clock: Clock
) -> None:
    """Another worker answers 50 a second, and then a lease's end brings 20 that took 10 s."""
    held = [meter.sent() for _ in range(20)]
    under_way = [meter.sent() for _ in range(12)]
    for _ in range(500):
        clock.now += 0.02
        meter.ended(under_way.pop(0), is_answered=True)
        under_way.append(meter.sent())
    for sent in held:
        clock.now += 0.01
        meter.ended(sent, is_answered=True)
        under_way.append(meter.sent())
        assert predicted_wait(meter.load()) < 2.0


def test_a_wait_that_ran_out_tells_that_answers_are_slower_than_that(
    meter: LoadMeter, clock: Clock
) -> None:
    under_way = [meter.sent() for _ in range(40)]
    clock.now += 4.0
    meter.ended(under_way[-1], is_answered=False)
    assert meter.load().answer_rate == pytest.approx(10.0)
    assert predicted_wait(meter.load()) == pytest.approx(4.0)


def test_what_was_measured_long_ago_says_nothing(meter: LoadMeter, clock: Clock) -> None:
    for _ in range(40):
        meter.sent()
    sent = meter.sent()
    clock.now += 4.0
    meter.ended(sent, is_answered=True)
    meter.read(500)
    clock.now += FRESH_SECONDS + 0.1
    load = meter.load()
    assert (load.answer_rate, load.queued, load.drain_rate) == (None, 0, None)


def test_silence_counts_from_the_last_answer_or_the_first_that_is_awaited(
    meter: LoadMeter, clock: Clock
) -> None:
    clock.now += 50
    assert meter.load().silent_seconds == 0.0
    first, second = meter.sent(), meter.sent()
    clock.now += 3.0
    assert meter.load().silent_seconds == pytest.approx(3.0)
    meter.ended(first, is_answered=True)
    clock.now += 1.0
    assert meter.load().silent_seconds == pytest.approx(1.0)
    meter.ended(second, is_answered=False)
    clock.now += 1.0
    assert meter.load().silent_seconds == 0.0


def test_two_readings_tell_how_fast_the_queue_drains(meter: LoadMeter, clock: Clock) -> None:
    meter.read(1000)
    for _ in range(50):
        meter.sent(is_awaited=False)
    clock.now += 1.0
    meter.read(950)
    load = meter.load()
    assert load.queued == 950
    assert load.drain_rate == pytest.approx(100.0)
    assert load.awaited == 0
    meter.sent(is_awaited=False)
    assert meter.load().queued == 951


def test_a_queue_that_others_fill_faster_than_it_drains_leaves_the_rate_unknown(
    meter: LoadMeter, clock: Clock
) -> None:
    meter.read(1000)
    clock.now += 1.0
    meter.read(1500)
    assert meter.load().drain_rate is None
    assert predicted_wait(meter.load()) == 0.0


def test_an_idle_queue_says_nothing_of_how_fast_it_would_drain(
    meter: LoadMeter, clock: Clock
) -> None:
    meter.read(10)
    clock.now += 1.0
    meter.read(0)
    assert meter.load().drain_rate is None
    assert meter.load().queued == 0


def test_a_request_that_was_never_sent_measures_nothing(meter: LoadMeter) -> None:
    meter.sent()
    meter.dropped()
    assert meter.load() == Load()


def is_away(meter: LoadMeter) -> bool:
    return meter.is_away


def is_late(pulse: Pulse) -> bool:
    return pulse.is_late


def test_a_queue_that_says_nothing_twice_while_no_answer_comes_is_away(meter: LoadMeter) -> None:
    meter.unread()
    assert not is_away(meter)
    meter.unread()
    assert is_away(meter)
    meter.read(0)
    assert not is_away(meter)


def test_a_queue_that_answers_come_from_is_not_away(meter: LoadMeter, clock: Clock) -> None:
    for _ in range(5):
        sent = meter.sent()
        clock.now += 0.5
        meter.ended(sent, is_answered=True)
        meter.unread()
    assert not is_away(meter)
    meter.unread()
    assert is_away(meter)
    sent = meter.sent()
    meter.ended(sent, is_answered=True)
    assert not is_away(meter)


def test_one_hiccup_of_the_loop_refuses_nobody_and_a_loop_that_stays_late_does() -> None:
    pulse = Pulse()
    pulse.felt(600.0)
    assert not is_late(pulse)
    for _ in range(20):
        pulse.felt(2 * LATE_SECONDS)
    assert is_late(pulse)
    for _ in range(20):
        pulse.felt(0.0)
    assert not is_late(pulse)
