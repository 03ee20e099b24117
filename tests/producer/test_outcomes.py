from __future__ import annotations

import pytest

from producer.outcomes import (
    LEAST_FOR_ERRORS,
    LEAST_FOR_LATENCY,
    MOST_REMEMBERED,
    WINDOW_SECONDS,
    BreachKind,
    Window,
    judge,
)

FAST = [0.02] * 200
Outcomes = list[float | None]


def failing(failed: int, of: int) -> Outcomes:
    return [None] * failed + [0.02] * (of - failed)


@pytest.mark.parametrize(
    ("canary", "champion", "expected"),
    [
        pytest.param(failing(2, 20), FAST, BreachKind.ERRORS, id="two of twenty failed"),
        pytest.param(failing(1, 20), FAST, None, id="one of twenty is allowed"),
        pytest.param(failing(19, 19), FAST, None, id="nineteen are too few to judge"),
        pytest.param(failing(20, 100), failing(40, 200), None, id="the champion fails as often"),
        pytest.param(failing(20, 20), [], BreachKind.ERRORS, id="nobody asks the champion"),
        pytest.param(failing(20, 20), failing(3, 3), BreachKind.ERRORS, id="hardly anybody does"),
        pytest.param([0.3] * 40, FAST, BreachKind.LATENCY, id="ten times as slow"),
        pytest.param([0.3] * 39, FAST, None, id="slow, but too few to judge"),
        pytest.param([0.3] * 40, FAST[:39], None, id="slow beside too few"),
        pytest.param([0.119] * 40, FAST, None, id="slower by less than anybody notices"),
        pytest.param([0.7] * 40, [0.4] * 40, None, id="slower, but not twice"),
        pytest.param([0.81] * 40, [0.4] * 40, BreachKind.LATENCY, id="twice as slow"),
        pytest.param([0.02] * 38 + [9.0] * 2, FAST, None, id="the slowest twentieth is chance"),
    ],
)
def test_a_canary_ends_when_it_is_clearly_worse_than_its_champion(
    canary: Outcomes, champion: Outcomes, expected: BreachKind | None
) -> None:
    breach = judge(canary, champion)
    assert (None if breach is None else breach.kind) == expected


def test_a_breach_says_what_was_found_and_what_is_allowed() -> None:
    errors, latency = judge(failing(3, 20), FAST), judge([0.3] * 40, FAST)
    assert errors is not None
    assert "15.0% of 20" in errors.found
    assert latency is not None
    assert "300 ms" in latency.found
    assert "120 ms" in latency.found


def test_a_window_forgets_what_is_old_and_what_is_too_much() -> None:
    window = Window()
    for second in range(10):
        window.add(second, None)
    window.add(WINDOW_SECONDS + 5, 0.5)
    assert window.lately(WINDOW_SECONDS + 5) == [None] * 5 + [0.5]
    for _ in range(MOST_REMEMBERED + 10):
        window.add(WINDOW_SECONDS + 5, 0.1)
    assert window.lately(WINDOW_SECONDS + 5) == [0.1] * MOST_REMEMBERED


def test_what_is_remembered_is_enough_to_judge() -> None:
    assert max(LEAST_FOR_ERRORS, LEAST_FOR_LATENCY) < MOST_REMEMBERED
