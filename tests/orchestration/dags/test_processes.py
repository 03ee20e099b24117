"""Airflow's own processes, started the way ``make airflow`` does, asked through its REST API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.local import sessions
from client.local.airflow import Airflow, task_environment
from client.local.airflow_home import AirflowHome
from client.local.readiness import free_port
from client.settings import inherited_environment
from tests.orchestration.dags.conftest import Own

RUN_SECONDS = 240.0
QUICK = {"variants": [], "grid": [{"name": "quick", "settings": {"rounds": 10, "threads": 1}}]}
pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


class Runs:
    """The runs of one's own contract, through the API."""

    def __init__(self, api: httpx.Client, family: str) -> None:
        self._api = api
        self._dag = f"/dags/retrain-{family}/dagRuns"

    def start(self, run_id: str, **conf: Any) -> httpx.Response:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": QUICK | conf}
        return self._api.post(self._dag, json=body)

    def state(self, run_id: str) -> str:
        state: str = self._api.get(f"{self._dag}/{run_id}").raise_for_status().json()["state"]
        return state

    def until(self, run_id: str, *states: str) -> str:
        deadline = time.monotonic() + RUN_SECONDS
        while (state := self.state(run_id)) not in states:
            assert time.monotonic() < deadline, f"run {run_id} is {state} still"
            time.sleep(0.5)
        return state

    def tasks(self, run_id: str) -> dict[str, str]:
        found = self._api.get(f"{self._dag}/{run_id}/taskInstances").raise_for_status().json()
        return {task["task_id"]: task["state"] for task in found["task_instances"]}

    def result(self, run_id: str, task: str) -> Any:
        path = f"{self._dag}/{run_id}/taskInstances/{task}/xcomEntries/return_value"
        return self._api.get(path).raise_for_status().json()["value"]

    def announced(self) -> list[dict[str, Any]]:
        found = self._api.get("/assets/events").raise_for_status().json()["asset_events"]
        return [event["extra"] for event in found]


@pytest.fixture
def airflow(own: Own, mlflow_server: str, tmp_path: Path) -> Iterator[Airflow]:
    """The three processes, their tasks each in a process of its own."""
    home, port = AirflowHome(tmp_path / "airflow"), free_port()
    home.prepare(port, None)
    environment = task_environment(
        inherited_environment(), mlflow=mlflow_server, aws={}, runs=tmp_path / "runs", data=own.data
    )
    named = environment | {"CARIMBO_CONTRACTS": str(own.contracts)}
    running = Airflow(home, port, environment=named, say=lambda _: None)
    try:
        running.start([f"retrain-{own.family}", "experiment"])
        yield running
    finally:
        running.stop()


def test_a_run_from_the_api_to_the_champion_and_no_process_left(airflow: Airflow, own: Own) -> None:
    with airflow.client() as api:
        runs = Runs(api, own.family)
        refused = runs.start("bad", data="a/relative/path")
        assert (refused.status_code, "data" in refused.text) == (400, True)

        assert runs.start("first", data=str(own.data)).status_code == 200
        assert runs.start("first", data=str(own.data)).status_code == 409
        assert runs.start("second", data=str(own.data)).status_code == 200
        runs.until("first", "running")
        assert runs.state("second") == "queued"

        assert runs.until("first", "success", "failed") == "success", runs.tasks("first")
        promoted = runs.result("first", "promote")
        announced = [promoted["version"]] if promoted["promoted"] else []
        assert [event["version"] for event in runs.announced()] == announced
        runs.until("second", "running")

    started = airflow.sessions
    assert sessions.groups_of(started)
    airflow.stop()
    assert sessions.groups_of(started) == set()
