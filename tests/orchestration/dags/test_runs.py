"""Whole runs through ``dag.test()``: the real steps, on generated files, in a real registry."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.pipeline import STEPS
from orchestration.pipeline.folder import STAGING
from tests.orchestration.dags.airflow_process import Outcome
from tests.orchestration.dags.conftest import AirflowProcess, Own

GOOD = {"name": "good", "settings": {"rounds": 20, "threads": 1}}
LESS = {"name": "less", "settings": {"rounds": 2, "threads": 1}}
pytestmark = pytest.mark.timeout(300)


class Registry:
    """What MLflow says of one model."""

    def __init__(self, api: httpx.Client, model: str) -> None:
        self._api = api
        self._model = model

    def versions(self) -> list[str]:
        found = self._api.get(
            "/model-versions/search", params={"filter": f"name='{self._model}'"}
        ).raise_for_status()
        return [each["version"] for each in found.json().get("model_versions", [])]

    def champion(self) -> str | None:
        found = self._api.get(
            "/registered-models/alias", params={"name": self._model, "alias": "champion"}
        )
        return found.json()["model_version"]["version"] if found.is_success else None


class Runs:
    """Runs the DAGs of one's own contract, in the process of Airflow unless told otherwise."""

    def __init__(self, airflow: AirflowProcess, own: Own, mlflow: str) -> None:
        self._airflow = airflow
        self._own = own
        self._environment = {
            "CARIMBO_CONTRACTS": str(own.contracts),
            "MLFLOW_TRACKING_URI": mlflow,
        }

    def retrain(self, **fields: Any) -> Outcome:
        return self._run(f"retrain-{self._own.family}", fields, {})

    def experiment(self, environment: dict[str, str], **fields: Any) -> Outcome:
        return self._run("experiment", fields, environment)

    def _run(self, dag: str, fields: dict[str, Any], environment: dict[str, str]) -> Outcome:
        usual = {
            "contract": self._own.family,
            "data": str(self._own.data),
            "variants": [],
            "grid": [GOOD],
        }
        return self._airflow.run(dag, usual | fields, **self._environment, **environment)


@pytest.fixture
def registry(mlflow_server: str, own: Own) -> Iterator[Registry]:
    with httpx.Client(base_url=f"{mlflow_server}/api/2.0/mlflow", timeout=60) as api:
        yield Registry(api, own.family)


@pytest.fixture
def runs(airflow: AirflowProcess, own: Own, mlflow_server: str) -> Runs:
    return Runs(airflow, own, mlflow_server)


@pytest.fixture(scope="module")
def first(airflow: AirflowProcess, own: Own, mlflow_server: str) -> Outcome:
    """The family's first run: two variants, and no champion to beat."""
    return Runs(airflow, own, mlflow_server).retrain(grid=[LESS, GOOD])


def test_a_run_promotes_what_the_gate_lets_through_and_tells_whoever_listens(
    first: Outcome, registry: Registry
) -> None:
    assert first.state == "success"
    promoted = first.results["promote"]
    assert promoted["promoted"], promoted["reason"]
    assert registry.champion() == promoted["version"]
    assert [event["version"] for event in first.events] == [promoted["version"]]
    assert first.events[0]["reason"] == promoted["reason"]


def test_every_variant_is_a_task_of_its_own(first: Outcome) -> None:
    assert {"train[0]", "train[1]"} <= set(first.tasks)
    assert first.results["variants"] == ["less", "good"]


def test_the_champion_stays_where_nothing_is_better_and_nobody_is_told(
    first: Outcome, runs: Runs, registry: Registry
) -> None:
    again = runs.retrain(grid=[LESS, GOOD])
    assert again.state == "success"
    assert again.results["promote"]["promoted"] is False
    assert again.results["promote"]["reason"]
    assert again.results["register"]["version"] in registry.versions()
    assert registry.champion() == first.results["promote"]["version"]
    assert again.tasks["announce"].state == "skipped"
    assert again.events == []


def test_a_run_that_may_not_promote_only_registers(
    first: Outcome, runs: Runs, registry: Registry
) -> None:
    run = runs.retrain(promote=False)
    assert run.results["register"]["version"] in registry.versions()
    assert registry.champion() == first.results["promote"]["version"]


def test_the_records_stay_and_the_copied_data_goes(first: Outcome, own: Own) -> None:
    folder = Path(first.results["begin"]["folder"])
    assert folder.parent.name == f"retrain-{own.family}"
    kept = {path.name for path in folder.iterdir()}
    assert {f"{step}.json" for step in STEPS if step != "train"} <= kept
    assert kept.isdisjoint(STAGING)


def test_the_copied_data_goes_after_a_failure_too(runs: Runs, own: Own, tmp_path: Path) -> None:
    shutil.copy(min(own.data.iterdir()), tmp_path)
    run = runs.retrain(data=str(tmp_path))
    assert run.state == "failed"
    assert run.tasks["extract"].state == "success"
    assert run.tasks["discard"].state == "success"
    folder = Path(run.results["begin"]["folder"])
    assert {path.name for path in folder.iterdir()}.isdisjoint(STAGING)


def test_an_experiment_is_logged_and_registers_nothing(runs: Runs, registry: Registry) -> None:
    before = registry.versions()
    run = runs.experiment({})
    assert run.state == "success"
    assert run.results["register"]["version"] is None
    assert run.results["register"]["mlflow_run"]
    assert run.results["promote"]["promoted"] is False
    assert registry.versions() == before


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        pytest.param({"data": "/nobody/has/this"}, "extract", id="data that is not there"),
        pytest.param({"promot": False}, "begin", id="a field that no form has"),
        pytest.param({"grid": [GOOD, GOOD]}, "begin", id="two variants of one name"),
        pytest.param({"grid": []}, "begin", id="nothing to train"),
    ],
)
def test_what_trying_again_cannot_help_fails_at_once(
    runs: Runs, fields: dict[str, Any], failed: str
) -> None:
    run = runs.retrain(**fields)
    assert run.state == "failed"
    assert (run.tasks[failed].state, run.tasks[failed].tries) == ("failed", 1)
    assert run.tasks["announce"].state == "upstream_failed"


@pytest.mark.parametrize(
    "ending", [pytest.param("exit 75", id="it says so"), pytest.param("kill -9 $$", id="killed")]
)
def test_a_step_in_a_process_of_its_own_is_tried_again(
    runs: Runs, tmp_path: Path, ending: str
) -> None:
    python = interpreter(tmp_path, ending)
    external = {"CARIMBO_TASKS": "external-python", "CARIMBO_TASK_PYTHON": str(python)}
    run = runs.experiment(external, data="/nobody/has/this")
    assert (run.tasks["begin"].state, run.tasks["begin"].tries) == ("success", 2)
    # What its exit code says of a permanent error reaches Airflow too.
    assert (run.tasks["extract"].state, run.tasks["extract"].tries) == ("failed", 1)


def interpreter(folder: Path, ending: str) -> Path:
    """A Python whose first process ends so."""
    script = folder / "python"
    mark = folder / "was-here"
    script.write_text(
        f"#!/bin/sh\nif [ ! -e {mark} ]; then : > {mark}; {ending}; fi\n"
        f'exec {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    return script
