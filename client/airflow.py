"""``carimbo airflow``: a real Airflow with the project's DAGs, until somebody stops it."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from client.errors import CommandError
from client.local import children
from client.local.airflow import Airflow, task_environment
from client.local.airflow_home import USER, AirflowHome
from client.local.foreground import Progress, StopRequested, kill_on_signals, stop_on_signals
from client.local.readiness import free_port, wait_until_ready
from client.local.registry_server import RegistryServer
from client.local.running import find_running, only_one
from client.local.system import Say
from client.screen import make_console
from client.settings import inherited_environment, local_aws, state_folder
from common.contracts import shipped_contracts

PORT = 8080
WATCH_SECONDS = 0.5
EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where tasks find MLflow, and the variables that lead to S3, if there is one."""

    mlflow: str
    aws: Mapping[str, str]


def add_airflow(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("airflow", help="start Airflow here with the training DAGs")
    parser.add_argument(
        "--data", type=Path, required=True, help="labelled files, in a folder a contract"
    )
    parser.add_argument("--database", help="SQLAlchemy address of a PostgreSQL instead of SQLite")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> None:
    console = make_console()
    data: Path = options.data.resolve()
    if not data.is_dir():
        raise CommandError(f"{data} is no folder of labelled files. Generated ones: make samples")
    state = state_folder()
    home = AirflowHome(state / "airflow")
    say = Progress(console).say
    with only_one(home.folder), ExitStack() as started:
        try:
            with stop_on_signals():
                found = started.enter_context(_surroundings(state, say))
                airflow = started.enter_context(_airflow(home, found, data, options.database, say))
                dags = _dags()
                airflow.start(dags)
                console.print(_how_to(airflow, home, found, dags[0]), soft_wrap=True, markup=False)
                while True:
                    airflow.check()
                    time.sleep(WATCH_SECONDS)
        except StopRequested:
            console.print("stopping (once more: at once)")
    console.print("stopped")


def _dags() -> list[str]:
    return [*(f"retrain-{family}" for family in sorted(shipped_contracts())), EXPERIMENT]


@contextmanager
def _airflow(
    home: AirflowHome, found: Surroundings, data: Path, database: str | None, say: Say
) -> Iterator[Airflow]:
    """An Airflow that has not been started; its processes are gone afterwards."""
    port = free_port(PORT)
    home.prepare(port, database)
    environment = task_environment(
        inherited_environment(),
        mlflow=found.mlflow,
        aws=found.aws,
        runs=home.folder.parent / "runs",
        data=data,
    )
    airflow = Airflow(home, port, environment=environment, say=say)
    try:
        yield airflow
    finally:
        with kill_on_signals(airflow.kill):
            airflow.stop()


@contextmanager
def _surroundings(state: Path, say: Say) -> Iterator[Surroundings]:
    """Those of the local system that runs; without one, an MLflow on what it has kept."""
    try:
        running = find_running(state)
    except CommandError:
        say("no local system runs (make run): starting MLflow alone, without S3")
    else:
        say(f"beside the local system that runs: MLflow {running.mlflow}, S3 {running.engine}")
        yield Surroundings(mlflow=running.mlflow, aws=local_aws(running.engine))
        return
    registry = RegistryServer(state / "mlflow", state / "logs" / "mlflow.log")
    awaited = registry.launch()
    try:
        wait_until_ready([awaited])
        yield Surroundings(mlflow=registry.url, aws={})
    finally:
        with kill_on_signals(partial(awaited.child.signal, signal.SIGKILL)):
            children.stop([awaited.child])
        registry.release()


def _how_to(airflow: Airflow, home: AirflowHome, found: Surroundings, dag: str) -> str:
    asked = '{"variants": ["default", "longer"]}'
    body = f'{{"dag_run_id": "by-api-1", "logical_date": null, "conf": {asked}}}'
    login = f'{{"username": "{USER}", "password": "{home.password}"}}'
    folder = shlex.quote(_short(home.folder))
    json_header = "-H 'Content-Type: application/json'"
    lines = [
        "",
        f"Airflow    {airflow.url}  (user {USER}, password {home.password})",
        f"MLflow     {found.mlflow}",
        f"Logs       {_short(home.logs)}",
        "",
        "Start a run",
        f"  in the UI: {airflow.url}/dags/{dag} and there: Trigger",
        "  from the command line:",
        f"    AIRFLOW_HOME={folder} .venv/bin/airflow dags trigger {dag} \\",
        f"      --run-id by-cli-1 --conf '{asked}'",
        "  through the API (the same id again is a 409, not a second run):",
        f"    TOKEN=$(curl -s {airflow.url}/auth/token {json_header} \\",
        f'      -d \'{login}\' | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')',
        f"    curl -s {airflow.url}/api/v2/dags/{dag}/dagRuns {json_header} \\",
        f"      -H \"Authorization: Bearer $TOKEN\" -d '{body}'",
        "",
        "Serving; Ctrl-C stops everything.",
    ]
    return "\n".join(lines)


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
