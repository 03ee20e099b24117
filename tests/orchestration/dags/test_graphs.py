"""What the DAGs promise before anything runs."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from common.contracts import shipped_contracts
from orchestration.pipeline import NAMED, STEPS
from tests.orchestration.dags.conftest import REPOSITORY, AirflowProcess, Own

FAMILIES = sorted(shipped_contracts())
HEAVY = {"lightgbm", "matplotlib", "mlflow", "numpy", "sklearn", "orchestration.training"}
POD = """
apiVersion: v1
kind: Pod
metadata: {namespace: carimbo}
spec:
  restartPolicy: Never
  containers: [{name: base, image: "carimbo-orchestration:0.1.0"}]
"""


def test_there_is_a_dag_a_contract_and_one_for_experiments(airflow: AirflowProcess) -> None:
    found = airflow.read()
    assert found.errors == {}
    assert sorted(found.graphs) == ["experiment", *(f"retrain-{family}" for family in FAMILIES)]


def test_a_contract_has_one_run_at_a_time(airflow: AirflowProcess) -> None:
    graphs = airflow.read().graphs
    assert [graphs[f"retrain-{family}"].runs_at_once for family in FAMILIES] == [1] * len(FAMILIES)
    for family in FAMILIES:
        assert graphs[f"retrain-{family}"].form["contract"]["enum"] == [family]


def test_the_steps_are_the_pipelines_in_its_order(airflow: AirflowProcess) -> None:
    for graph in airflow.read().graphs.values():
        for before, step in pairwise(STEPS):
            assert before in graph.upstream[step]
        assert "variants" in graph.upstream["train"]


def test_every_task_is_tried_again_and_the_teardown_ends_the_run(airflow: AirflowProcess) -> None:
    for graph in airflow.read().graphs.values():
        assert set(graph.retries.values()) == {2}
        assert graph.teardowns == ["discard"]


def test_reading_the_dags_loads_nothing_that_trains(tmp_path: Path) -> None:
    # The scheduler reads them every few seconds. In a process that has run no step yet.
    code = "import sys, airflow.sdk as _; had = set(sys.modules); "
    code += "from orchestration.dags import experiment, retrain; print(*set(sys.modules) - had)"
    read = subprocess.run(  # noqa: S603 - this interpreter, no shell
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    loaded = set(read.stdout.split())
    assert "orchestration.airflow.graph" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_the_form_offers_what_a_run_understands(airflow: AirflowProcess) -> None:
    graphs = airflow.read().graphs
    form = graphs[f"retrain-{FAMILIES[0]}"].form
    assert form["variants"]["items"]["enum"] == list(NAMED)
    assert form["promote"]["type"] == "boolean"
    assert form["window_start"]["format"] == "date"
    assert form["data"]["type"] == "string"
    assert "leaves" in form["grid"]["items"]["properties"]["settings"]["properties"]
    experiment = graphs["experiment"].form
    assert experiment["contract"]["enum"] == FAMILIES
    assert "promote" not in experiment


def test_nothing_is_scheduled_unless_the_environment_says_when(airflow: AirflowProcess) -> None:
    assert {graph.schedule for graph in airflow.read().graphs.values()} == {""}
    graphs = airflow.read(
        CARIMBO_RETRAIN_SCHEDULE="0 3 * * 1", CARIMBO_TRAINING_DATA="s3://labelled"
    ).graphs
    assert graphs["experiment"].schedule == ""
    assert {graphs[f"retrain-{family}"].schedule for family in FAMILIES} == {"0 3 * * 1"}


def test_a_schedule_without_data_is_refused_where_people_see_it(airflow: AirflowProcess) -> None:
    errors = airflow.read(CARIMBO_RETRAIN_SCHEDULE="@weekly").errors
    assert len(errors) == 2
    assert all("needs CARIMBO_TRAINING_DATA" in error for error in errors.values())


def test_with_data_configured_the_form_need_not_name_it(airflow: AirflowProcess) -> None:
    graphs = airflow.read(CARIMBO_TRAINING_DATA="/labelled").graphs
    assert graphs["experiment"].form["data"]["type"] == ["null", "string"]


def test_a_contract_of_ones_own_gets_its_dag(airflow: AirflowProcess, own: Own) -> None:
    graphs = airflow.read(CARIMBO_CONTRACTS=str(own.contracts)).graphs
    assert graphs[f"retrain-{own.family}"].form["contract"]["enum"] == [own.family]
    assert own.family in graphs["experiment"].form["contract"]["enum"]


def test_pods_need_a_template(airflow: AirflowProcess) -> None:
    errors = airflow.read(CARIMBO_TASKS="kubernetes-pod").errors
    assert all("CARIMBO_TASK_POD" in error for error in errors.values())
    assert len(errors) == 2


def test_with_a_template_every_step_is_a_pod(airflow: AirflowProcess, tmp_path: Path) -> None:
    template = tmp_path / "pod.yaml"
    template.write_text(POD)
    found = airflow.read(CARIMBO_TASKS="kubernetes-pod", CARIMBO_TASK_POD=str(template))
    assert found.errors == {}
    for graph in found.graphs.values():
        for before, step in pairwise(STEPS):
            assert before in graph.upstream[step]
        assert set(graph.retries.values()) == {2}
