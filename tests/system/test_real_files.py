"""Files that real systems exported: every row is labelled or told why not."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.system.conftest import RunningSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CARD_ACCOUNTS = "card-accounts"
PURCHASE_CARDS = "purchase-cards"


def post(running_system: RunningSystem, model: str, path: Path) -> httpx.Response:
    return httpx.post(
        running_system.predictions_url(model),
        content=path.read_bytes(),
        headers={"Content-Type": "text/csv"},
        timeout=60,
    )


def test_every_real_account_is_labelled_whole(
    running_system: RunningSystem, shared_data: Path
) -> None:
    files = sorted((shared_data / "brazilian-real-bank").glob("*.csv"))
    labels: set[str] = set()
    for path in files:
        response = post(running_system, CARD_ACCOUNTS, path)
        assert response.status_code == 200, (path.name, response.text[:500])
        body = response.json()
        rows_in_file = path.read_bytes().count(b"\r\n") - 1
        assert body["counts"]["rows_read"] == rows_in_file, path.name
        assert body["counts"]["labelled"] + body["counts"]["rejected"] == rows_in_file, path.name
        assert body["violations"] == [], path.name
        assert [row["line"] for row in body["rows"]] == list(range(2, rows_in_file + 2)), path.name
        assert body["dialect"]["encoding"] == "mac_roman", path.name
        labels.update(row["label"] for row in body["rows"])
    assert len(files) > 0
    assert "SERVIÇO" in labels


def test_every_month_of_purchases_is_read_though_its_format_drifts(
    running_system: RunningSystem, shared_data: Path
) -> None:
    files = sorted((shared_data / "purchase-cards").glob("*.csv"))
    for path in files:
        response = post(running_system, PURCHASE_CARDS, path)
        assert response.status_code == 200, (path.name, response.text[:500])
        counts = response.json()["counts"]
        assert counts["labelled"] + counts["rejected"] == counts["rows_read"] > 3000, path.name
        assert counts["rejected"] <= 1, path.name
    assert len(files) > 0


@pytest.mark.parametrize("model", [CARD_ACCOUNTS, PURCHASE_CARDS])
def test_no_foreign_statement_breaks_the_service(
    running_system: RunningSystem, shared_data: Path, model: str
) -> None:
    files = sorted(path for path in (shared_data / "statements").rglob("*") if path.is_file())
    for path in files:
        response = post(running_system, model, path)
        assert response.status_code == 200 or 400 <= response.status_code < 500, path.name
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["type"].startswith("/problems/")
            assert response.json()["detail"]
    assert len(files) > 0
