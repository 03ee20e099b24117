"""One Airflow process for the session, and the generated files that its runs train on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from common.contracts import shipped_contracts
from orchestration.samples import generate, shipped_profile
from tests.orchestration.dags import airflow_process
from tests.orchestration.dags.airflow_process import Order, Outcome

REPOSITORY = Path(__file__).resolve().parents[3]
DAGS = REPOSITORY / "orchestration" / "dags"
FILES = 8
OWN_FAMILY = "household-accounts"


class AirflowProcess:
    """Runs DAGs; ``runs`` is where they keep their folders, ``log`` all that Airflow said."""

    def __init__(self, orders: IO[bytes], outcomes: IO[bytes], runs: Path, log: Path) -> None:
        self._orders = orders
        self._outcomes = outcomes
        self.runs = runs
        self.log = log

    def read(self, **environment: str) -> Outcome:
        """Read every DAG file under ``environment``."""
        return self._ask(Order(environment=environment))

    def run(self, dag_id: str, conf: dict[str, Any], **environment: str) -> Outcome:
        """Run a DAG to its end in that process; the steps too, unless ``environment`` says else."""
        tasks = {"CARIMBO_TASKS": "in-process", "CARIMBO_RUNS": str(self.runs)}
        return self._ask(Order(environment=tasks | environment, dag_id=dag_id, conf=conf))

    def _ask(self, order: Order) -> Outcome:
        self._orders.write(msgspec.json.encode(order) + b"\n")
        self._orders.flush()
        line = self._outcomes.readline()
        assert line, f"Airflow's process ended; its log ends:\n{self.log.read_text()[-3000:]}"
        return msgspec.json.decode(line, type=Outcome)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowProcess]:
    """A real Airflow in a home of its own, on SQLite."""
    home = tmp_path_factory.mktemp("airflow")
    reading, writing = os.pipe()
    with (home / "airflow.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, no shell
            [sys.executable, "-m", airflow_process.__name__, str(writing)],
            env=_environment(home),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
        )
    os.close(writing)
    assert process.stdin is not None
    with os.fdopen(reading, "rb") as outcomes, process.stdin as orders:
        yield AirflowProcess(orders, outcomes, home / "runs", home / "airflow.log")
    process.wait(30)


@dataclass(frozen=True)
class Own:
    """A contract of one's own: no other test has its family in the registry."""

    family: str
    contracts: Path
    data: Path


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    """A shipped contract under another name, and generated files of it."""
    shipped = shipped_contracts()["card-accounts"]
    contracts, data = tmp_path_factory.mktemp("contracts"), tmp_path_factory.mktemp("labelled")
    text = shipped.source_text.replace(f"family: {shipped.family}", f"family: {OWN_FAMILY}")
    (contracts / "own.yaml").write_text(text)
    for sample in generate(shipped, shipped_profile(shipped.family), files=FILES, seed=1):
        (data / sample.name).write_bytes(sample.content)
    return Own(family=OWN_FAMILY, contracts=contracts, data=data)


def _environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
