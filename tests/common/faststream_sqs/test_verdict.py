"""The decisions about failed messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PermanentError, TransientError
from common.faststream_sqs import AckPolicy
from common.faststream_sqs.verdict import (
    LONGEST_VISIBILITY_SECONDS,
    Bury,
    Drop,
    Retry,
    back_off_seconds,
    bounded_delay,
    verdict_of,
)

NACK = AckPolicy.NACK_ON_ERROR


@pytest.mark.parametrize(
    ("error", "policy", "receive_count", "expected"),
    [
        (PermanentError("a", "b"), NACK, 1, Bury("a", "b")),
        (TransientError("a", "b", delay_seconds=7), NACK, 1, Retry(7)),
        (TransientError("a", "b", delay_seconds=0), NACK, 1, Retry(1)),
        (ValueError("secret"), NACK, 1, Retry(1)),
        (ValueError("secret"), NACK, 2, Retry(2)),
        (
            ValueError("secret"),
            NACK,
            3,
            Bury("internal", "All 3 attempts failed. Last: ValueError"),
        ),
        (
            TransientError("a", "b"),
            NACK,
            4,
            Bury("a", "All 4 attempts failed. Last: b"),
        ),
        (ValueError("secret"), AckPolicy.REJECT_ON_ERROR, 1, Bury("internal", "ValueError")),
        (PermanentError("a", "b"), AckPolicy.ACK, 1, Drop()),
        (ValueError("secret"), AckPolicy.ACK_FIRST, 1, Drop()),
    ],
)
def test_a_failure_is_retried_buried_or_dropped(
    error: Exception, policy: AckPolicy, receive_count: int, expected: object
) -> None:
    verdict = verdict_of(error, policy, receive_count=receive_count, max_receive_count=3)
    assert verdict == expected


@given(st.integers(min_value=-5, max_value=10_000))
def test_a_back_off_is_never_at_once_nor_endless(receive_count: int) -> None:
    assert 1 <= back_off_seconds(receive_count) <= back_off_seconds(receive_count + 1) <= 300


@given(st.floats(min_value=-10, max_value=1e9))
def test_a_delay_is_what_sqs_accepts(seconds: float) -> None:
    assert 1 <= bounded_delay(seconds) <= LONGEST_VISIBILITY_SECONDS
