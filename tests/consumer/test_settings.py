from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from consumer.service import unusable
from consumer.settings import Settings


def test_models_come_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARIMBO_MODELS", " card-accounts, purchase-cards ,")

    assert Settings().models == ("card-accounts", "purchase-cards")  # type: ignore[call-arg]


def test_the_registrys_address_has_its_standard_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARIMBO_MODELS", "parcels")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://registry:5000")
    monkeypatch.setenv("CARIMBO_VISIBILITY", "PT45S")

    settings = Settings()  # type: ignore[call-arg]

    assert settings.tracking_uri == "http://registry:5000"
    assert settings.visibility == timedelta(seconds=45)


@pytest.mark.parametrize("found", [None, "", " , "])
def test_a_worker_without_a_model_is_told_which_variable_is_wrong(
    found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARIMBO_MODELS", raising=False)
    if found is not None:
        monkeypatch.setenv("CARIMBO_MODELS", found)

    with pytest.raises(ValidationError) as caught:
        Settings()  # type: ignore[call-arg]

    assert "CARIMBO_MODELS" in unusable(caught.value)
