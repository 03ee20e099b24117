from __future__ import annotations

import pytest

from producer.looks import FRESH_SECONDS, LATEST_SHARE, SOONEST_SECONDS, LookRoom, ReplyTimes
from producer.looks import look_pauses as pauses


def moments(wait_seconds: float, usual_seconds: float = 0.0) -> list[float]:
    """When the store is asked, in seconds from the send."""
    at, found = 0.0, []
    for pause in pauses(wait_seconds, usual_seconds):
        at += pause
        found.append(round(at, 6))
    return found


@pytest.mark.parametrize("wait_seconds", [1, 2, 10, 60])
def test_a_lost_reply_is_looked_for_within_the_promised_second(wait_seconds: float) -> None:
    looks = moments(wait_seconds)
    assert looks[0] == SOONEST_SECONDS
    assert looks[1] < 1.0


def test_where_replies_are_slow_the_store_is_left_alone_for_longer() -> None:
    assert moments(10, usual_seconds=1.5)[0] == 3.0
    assert moments(1, usual_seconds=1.5)[0] == LATEST_SHARE


@pytest.mark.parametrize("wait_seconds", [0.02, 0.2, 0.5, 1, 10, 60])
@pytest.mark.parametrize("usual_seconds", [0.0, 0.3, 30.0])
def test_the_last_look_ends_the_wait_and_their_number_is_bounded(
    wait_seconds: float, usual_seconds: float
) -> None:
    looks = moments(wait_seconds, usual_seconds)
    assert looks[-1] == pytest.approx(wait_seconds)
    assert looks == sorted(looks)
    assert len(looks) <= 8 + wait_seconds


def test_what_is_usual_follows_the_replies_and_is_forgotten() -> None:
    now = 50.0
    times = ReplyTimes(lambda: now)
    assert times.usual == 0.0
    times.heard(0.2)
    assert times.usual == 0.2
    for _ in range(100):
        times.heard(1.0)
    assert times.usual == pytest.approx(1.0, rel=0.01)
    now += FRESH_SECONDS + 0.1
    assert times.usual == 0.0


def test_no_more_looks_at_once_than_there_is_room_for() -> None:
    room = LookRoom(most=1)
    with room.place() as first, room.place() as second:
        assert (first, second) == (True, False)
    with room.place() as third:
        assert third
