from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.preferences import LONGEST_WAIT, Handling, Preferences, read_preferences

DEFAULT = timedelta(seconds=10)


def read(*headers: str) -> Preferences:
    return read_preferences(headers, default_wait=DEFAULT)


def test_without_a_preference_bad_rows_are_passed_over_and_the_default_wait_holds() -> None:
    assert read() == Preferences(Handling.LENIENT, DEFAULT, "")


@pytest.mark.parametrize(
    "headers",
    [
        ("handling=strict, wait=5",),
        ("handling=strict", "wait=5"),
        ('Handling = "strict" ; because="a, b; c" , WAIT="5"',),
        (", ,handling=strict;,wait=5,",),
        ("respond-async, foo; x=1, wait=5, handling=strict",),
    ],
)
def test_preferences_are_found_however_they_are_spread_and_quoted(headers: tuple[str, ...]) -> None:
    found = read(*headers)
    assert (found.handling, found.wait) == (Handling.STRICT, timedelta(seconds=5))


def test_what_was_honoured_is_told() -> None:
    assert read("wait=5, handling=strict").applied == "handling=strict, wait=5"


@pytest.mark.parametrize(
    ("header", "seconds", "applied"),
    [
        ("respond-async", 0, "respond-async"),
        ("Respond-Async, wait=5", 5, "respond-async, wait=5"),
        ("wait=5;x, respond-async;y=1", 5, "respond-async, wait=5"),
    ],
)
def test_a_client_that_comes_back_waits_only_as_long_as_it_says(
    header: str, seconds: int, applied: str
) -> None:
    expected = Preferences(
        Handling.LENIENT, timedelta(seconds=seconds), applied, respond_async=True
    )
    assert read(header) == expected


def test_the_first_of_two_equal_preferences_counts() -> None:
    assert read("handling=lenient", "handling=strict").handling is Handling.LENIENT


@pytest.mark.parametrize(
    "header", ["wait=soon", "wait=-1", "wait=1.5", "wait=0", "wait", "wait=", "wait=٣"]
)
def test_a_wait_that_is_no_number_of_seconds_is_ignored(header: str) -> None:
    assert read(header) == Preferences(Handling.LENIENT, DEFAULT, "")


def test_an_unknown_handling_is_ignored() -> None:
    assert read("handling=sloppy") == Preferences(Handling.LENIENT, DEFAULT, "")


def test_a_wait_beyond_the_longest_is_cut_and_the_cut_is_told() -> None:
    found = read("wait=999999999")
    assert (found.wait, found.applied) == (LONGEST_WAIT, "wait=60")


@pytest.mark.parametrize(
    "hostile", ["a" + ";  " * 20_000 + "@", '"' * 60_000, 'x="' + "\\" * 60_000]
)
def test_a_hostile_header_is_read_in_one_pass(hostile: str) -> None:
    assert read(hostile).applied == ""  # a backtracking pattern would not come back


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_header_whatsoever_is_an_error(headers: list[str]) -> None:
    found = read(*headers)
    assert timedelta(0) < found.wait <= LONGEST_WAIT
