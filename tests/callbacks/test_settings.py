from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from callbacks.service import unusable
from callbacks.settings import Settings
from tests.callbacks.conftest import NEW_SECRET, OLD_SECRET


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("CARIMBO_CALLBACK_SECRETS", NEW_SECRET)
    return monkeypatch


def read() -> Settings:
    return Settings()  # type: ignore[call-arg]  # the environment has them


@pytest.mark.usefixtures("environment")
def test_a_secret_is_all_it_needs() -> None:
    settings = read()

    assert len(settings.callback_secrets) == 1
    assert [pause.total_seconds() for pause in settings.callback_schedule] == [
        0, 5, 300, 1_800, 7_200, 18_000, 36_000
    ]  # fmt: skip
    assert not settings.policy.allows("127.0.0.1")


def test_lists_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CARIMBO_CALLBACK_SECRETS", f"{NEW_SECRET}, {OLD_SECRET}")
    environment.setenv("CARIMBO_CALLBACK_ALLOW", "localhost, 10.0.0.0/8")
    environment.setenv("CARIMBO_CALLBACK_SCHEDULE", "0, 2.5, PT1M")

    settings = read()

    assert len(settings.callback_secrets) == 2
    assert settings.policy.allows("localhost")
    assert settings.policy.allows("10.9.8.7")
    assert settings.callback_schedule == (
        timedelta(0),
        timedelta(seconds=2.5),
        timedelta(minutes=1),
    )


def test_the_document_lists_every_variable_of_callbacks() -> None:
    document = Path(__file__).parents[2] / "docs" / "callbacks.md"

    listed = set(re.findall(r"`(CARIMBO_\w+)`", document.read_text()))

    assert listed == {f"CARIMBO_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CARIMBO_CALLBACK_SECRETS", "", "at least 1 item"),
        ("CARIMBO_CALLBACK_SECRETS", "canary", "openssl rand"),
        ("CARIMBO_CALLBACK_ALLOW", "http://x", "not a host name"),
        ("CARIMBO_CALLBACK_SCHEDULE", "", "at least 1 item"),
        ("CARIMBO_CALLBACK_SCHEDULE", "-1", "between 0 and 36000"),
        ("CARIMBO_CALLBACK_SCHEDULE", "36001", "between 0 and 36000"),
        ("CARIMBO_CALLBACK_SCHEDULE", ",".join(["36000"] * 8), "exceed 3 days"),
        ("CARIMBO_CALLBACK_PER_HOST", "65", "must not exceed"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line_without_a_secret(
    environment: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(ValidationError) as refusal:
        read()

    assert told in unusable(refusal.value)
    assert "canary" not in str(refusal.value) + unusable(refusal.value)
    assert NEW_SECRET not in str(refusal.value)
