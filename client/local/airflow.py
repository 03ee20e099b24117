"""A real Airflow on this machine: API server, scheduler and DAG processor as processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from client.errors import CommandError
from client.local import children, sessions, warden
from client.local.airflow_home import USER, AirflowHome
from client.local.children import Child
from client.local.readiness import Awaited, obituary, wait_until_ready
from client.local.system import Say

MIGRATION_TIMEOUT_SECONDS = 180.0
START_TIMEOUT_SECONDS = 180.0
DAGS_TIMEOUT_SECONDS = 120.0
REQUEST_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.5


class Airflow:
    """``environment`` is what every task gets to know; ``say`` tells a person about progress."""

    def __init__(
        self, home: AirflowHome, port: int, *, environment: Mapping[str, str], say: Say
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._home = home
        self._environment = {**environment, "AIRFLOW_HOME": str(home.folder)}
        self._say = say
        self._children: list[Child] = []

    def start(self, dags: Sequence[str]) -> None:
        """Bring the database up to date, start every process, wait until ``dags`` can be run.

        Raises:
            CommandError: something did not start, or a DAG file cannot be read.
        """
        self._migrate()
        self._say("starting Airflow (takes some 20 s)")
        api = Awaited(
            child=self._launch("Airflow's API server", "api-server"),
            url=f"{self.url}/api/v2/monitor/health",
            timeout_seconds=START_TIMEOUT_SECONDS,
        )
        wait_until_ready([api], lambda awaited: self._say(f"{awaited.child.name} ready"))
        # Not before: a task that is started while nobody answers it has spent one of its attempts.
        self._launch("Airflow's scheduler", "scheduler")
        self._launch("Airflow's DAG processor", "dag-processor")
        self._wait_for(dags)

    @property
    def sessions(self) -> set[int]:
        """The sessions of every process, the tasks' too."""
        return {child.pid for child in self._children}

    def check(self) -> None:
        """Make sure that every process still runs.

        Raises:
            CommandError: one ended by itself.
        """
        for child in self._children:
            if child.exit_code is not None:
                raise CommandError(obituary(child))

    def stop(self) -> None:
        """Stop everything, the tasks too: Airflow gives each a process group of its own."""
        started = self.sessions
        children.stop(self._children, STOP_TIMEOUT_SECONDS)
        warden.stop_groups(sessions.groups_of(started))
        self._children.clear()

    def kill(self) -> None:
        """Stop waiting for anybody to finish."""
        for group in sessions.groups_of(self.sessions):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _migrate(self) -> None:
        self._say("bringing Airflow's database up to date")
        migration = self._launch("Airflow's migration", "db", "migrate")
        if migration.wait(MIGRATION_TIMEOUT_SECONDS) is None:
            raise CommandError(
                f"The migration took over {MIGRATION_TIMEOUT_SECONDS:.0f} s. {migration.tail()}"
            )
        if migration.exit_code != 0:
            raise CommandError(obituary(migration))
        self._children.remove(migration)
        migration.forget()

    def _launch(self, name: str, *command: str) -> Child:
        child = Child(
            name,
            [sys.executable, "-m", "airflow", *command],
            environment=self._environment,
            log=self._home.logs / f"{command[0]}.log",
        )
        self._children.append(child)
        return child

    def _wait_for(self, dags: Sequence[str]) -> None:
        """Airflow answers before it has read a DAG."""
        deadline = time.monotonic() + DAGS_TIMEOUT_SECONDS
        with self.client() as api:
            while not set(dags) <= _dag_ids(api):
                self.check()
                _raise_import_errors(api)
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"Airflow did not find {', '.join(dags)} within "
                        f"{DAGS_TIMEOUT_SECONDS:.0f} s. See {self._home.logs}."
                    )
                time.sleep(POLL_SECONDS)
        self._say(f"DAGs ready: {', '.join(dags)}")

    def client(self) -> httpx.Client:
        """A client of Airflow's REST API, logged in."""
        token = httpx.post(
            f"{self.url}/auth/token",
            json={"username": USER, "password": self._home.password},
            timeout=REQUEST_TIMEOUT_SECONDS,
            trust_env=False,
        ).raise_for_status()
        return httpx.Client(
            base_url=f"{self.url}/api/v2",
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            timeout=REQUEST_TIMEOUT_SECONDS,
            trust_env=False,
        )


def task_environment(
    inherited: Mapping[str, str], *, mlflow: str, aws: Mapping[str, str], runs: Path, data: Path
) -> dict[str, str]:
    """What the tasks are told; nothing of the caller's own Airflow gets through."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("AIRFLOW")}
    return {
        **kept,
        **aws,
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "CARIMBO_RUNS": str(runs),
        "CARIMBO_TRAINING_DATA": str(data),
        "PYTHONUNBUFFERED": "1",
    }


def _dag_ids(api: httpx.Client) -> set[str]:
    found: list[dict[str, Any]] = api.get("/dags").raise_for_status().json()["dags"]
    return {dag["dag_id"] for dag in found}


def _raise_import_errors(api: httpx.Client) -> None:
    errors: list[dict[str, Any]] = (
        api.get("/importErrors").raise_for_status().json()["import_errors"]
    )
    for error in errors:
        raise CommandError(f"Airflow cannot read {error['filename']}:\n{error['stack_trace']}")
