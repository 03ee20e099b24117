from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.timing import Stopwatch, divide_wait, server_timing

milliseconds = st.floats(min_value=-5, max_value=100_000, allow_nan=False)


def clock(*seconds: float) -> Iterator[float]:
    return iter(seconds)


def test_each_lap_is_charged_with_the_time_since_the_last() -> None:
    ticks = clock(10.0, 10.5, 12.0)
    watch = Stopwatch(lambda: next(ticks))
    watch.lap("upload")
    watch.lap("read")
    assert watch.stages == {"upload": 500.0, "read": 1500.0}


def test_the_wait_is_divided_into_the_workers_stages_the_way_back_and_the_rest() -> None:
    worker = {"queue": 3.0, "features": 1.0, "predict": 2.0}
    assert divide_wait(20.0, worker, reply_queue_ms=4.0) == {
        "features": 1.0,
        "predict": 2.0,
        "queue": 3.0,
        "reply": 4.0,
        "broker": 10.0,
    }


def test_clocks_that_claim_more_than_the_wait_get_what_is_left_after_the_work() -> None:
    divided = divide_wait(5.0, {"queue": 3.0, "predict": 4.0}, reply_queue_ms=2.0)
    assert divided == {"predict": 4.0, "queue": 1.0, "reply": 0.0, "broker": 0.0}


@given(milliseconds, st.dictionaries(st.text(max_size=8), milliseconds), milliseconds)
def test_the_parts_of_a_wait_are_never_negative_and_add_up_to_it(
    wait: float, worker: dict[str, float], reply: float
) -> None:
    divided = divide_wait(wait, worker, reply_queue_ms=reply)
    assert min(divided.values()) >= 0
    assert sum(divided.values()) == pytest.approx(max(wait, 0.0))


def test_the_header_names_every_stage_and_their_sum() -> None:
    assert server_timing({"read": 1.25, "predict": 2.0}) == (
        "read;dur=1.250, predict;dur=2.000, total;dur=3.250"
    )


@given(st.dictionaries(st.text(), milliseconds))
def test_no_stage_name_can_break_the_header(stages: dict[str, float]) -> None:
    metrics = server_timing(stages).split(", ")
    assert len(metrics) == len(stages) + 1
    assert all(re.fullmatch(r"[A-Za-z0-9\-_.]+;dur=-?[0-9.]+", metric) for metric in metrics)
