from __future__ import annotations

import pytest

from consumer.deadline import Delivery, QueueClock, Verdict, budget_from, decide


def delivery(
    *, sent: int = 1_000, first: int = 1_200, count: int = 1, at: float = 50.0
) -> Delivery:
    return Delivery(sent_ms=sent, first_received_ms=first, receive_count=count, received_at=at)


@pytest.mark.parametrize(
    ("budget_ms", "age_ms", "keep", "expected"),
    [
        (1_000, 999.9, False, Verdict.PREDICT),
        (1_000, 1_000.0, False, Verdict.EXPIRED),
        (1_000, 60_000.0, True, Verdict.PREDICT),
        (None, 60_000.0, False, Verdict.PREDICT),
        (0, 0.0, False, Verdict.EXPIRED),
    ],
)
def test_work_is_skipped_only_past_its_budget_and_when_nobody_comes_back_for_it(
    *, budget_ms: int | None, age_ms: float, keep: bool, expected: Verdict
) -> None:
    assert decide(budget_ms=budget_ms, age_ms=age_ms, keep=keep) is expected


def test_the_age_is_the_wait_by_the_queues_clock_and_then_the_time_here() -> None:
    age = QueueClock().age_ms(delivery(sent=1_000, first=1_200, at=50.0), now=50.25)

    assert age == pytest.approx(200 + 250)


def test_a_host_whose_wall_clock_is_hours_off_changes_nothing() -> None:
    queue_in_another_century = delivery(sent=9_000_000_000_000, first=9_000_000_000_200, at=50.0)

    assert QueueClock().age_ms(queue_in_another_century, now=50.0) == pytest.approx(200)


def test_stamps_in_the_wrong_order_never_make_a_request_older() -> None:
    assert QueueClock().age_ms(delivery(sent=1_500, first=1_200, at=50.0), now=50.0) == 0


def test_a_redelivery_is_as_old_as_the_queues_clock_says_once_that_is_known() -> None:
    clock = QueueClock()
    clock.age_ms(delivery(sent=9_990, first=10_000, at=60.0), now=60.0)

    age = clock.age_ms(delivery(sent=1_000, first=1_200, count=2, at=61.0), now=61.0)

    assert age == pytest.approx(11_000 - 1_000)


def test_a_redelivery_to_a_worker_that_knows_no_clock_yet_counts_as_young() -> None:
    age = QueueClock().age_ms(delivery(sent=1_000, first=1_200, count=2, at=61.0), now=61.1)

    assert age == pytest.approx(200 + 100)


def test_what_is_known_of_the_queues_clock_never_makes_a_redelivery_younger_than_it_is() -> None:
    clock = QueueClock()
    long_in_the_answer = delivery(sent=9_990, first=10_000, at=90.0)
    clock.age_ms(long_in_the_answer, now=90.0)

    age = clock.age_ms(delivery(sent=9_000, first=9_900, count=2, at=90.0), now=90.5)

    assert age == pytest.approx(max(900 + 500, 10_500 - 9_000))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"budget_ms": "950"}, 950),
        ({}, None),
        ({"budget_ms": ""}, None),
        ({"budget_ms": "-5"}, None),
        ({"budget_ms": "soon"}, None),
        ({"budget_ms": "٣"}, None),
    ],
)
def test_a_budget_is_whole_milliseconds_or_there_is_none(
    headers: dict[str, str], expected: int | None
) -> None:
    assert budget_from(headers) == expected
