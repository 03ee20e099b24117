"""The folder that makes a local Airflow: its settings, its database, its one user's password."""

from __future__ import annotations

import os
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex, token_urlsafe

import msgspec

from client.errors import CommandError
from client.settings import REPOSITORY

USER = "admin"
DAGS = REPOSITORY / "orchestration" / "dags"
TASKS_AT_ONCE = 2
"""A training takes every core it gets; more at once would only slow one another down."""

REFRESH_SECONDS = 10
PASSWORD_BYTES = 12
SECRET_BYTES = 32
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class AirflowHome:
    """``folder`` is what AIRFLOW_HOME names: Airflow's own commands need no more than that."""

    folder: Path

    @property
    def logs(self) -> Path:
        """Where the processes and the tasks write."""
        return self.folder / "logs"

    def prepare(self, port: int, database: str | None) -> None:
        """Write the settings anew; the password and the database stay what they were.

        Raises:
            CommandError: the database needs a driver that is not installed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if database is not None:
            _require_driver(database)
        if not self._passwords.exists():
            self._write(self._passwords, msgspec.json.encode({USER: token_urlsafe(PASSWORD_BYTES)}))
        settings = ConfigParser(interpolation=None)
        settings.read_dict(self._settings(port, database or f"sqlite:///{self.folder}/airflow.db"))
        path = self.folder / "airflow.cfg"
        self._write(path, b"")
        with path.open("w") as file:
            settings.write(file)

    @property
    def password(self) -> str:
        """The user's password, made when the folder was."""
        return msgspec.json.decode(self._passwords.read_bytes(), type=dict[str, str])[USER]

    @property
    def _passwords(self) -> Path:
        return self.folder / "passwords.json"

    def _write(self, path: Path, content: bytes) -> None:
        path.touch(mode=OWNER_ONLY)
        path.chmod(OWNER_ONLY)
        path.write_bytes(content)

    def _settings(self, port: int, database: str) -> dict[str, dict[str, str]]:
        address = f"http://127.0.0.1:{port}"
        return {
            "core": {
                "dags_folder": str(DAGS),
                "load_examples": "False",
                "executor": "LocalExecutor",
                "parallelism": str(TASKS_AT_ONCE),
                # A paused DAG leaves every run that is asked for waiting for ever.
                "dags_are_paused_at_creation": "False",
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": str(self._passwords),
                "execution_api_server_url": f"{address}/execution/",
            },
            "database": {"sql_alchemy_conn": database},
            "api": {
                "host": "127.0.0.1",
                "port": str(port),
                "base_url": address,
                "workers": "1",
                "secret_key": token_hex(SECRET_BYTES),
            },
            "api_auth": {"jwt_secret": token_hex(SECRET_BYTES)},
            "dag_processor": {"refresh_interval": str(REFRESH_SECONDS)},
            "logging": {"base_log_folder": str(self.logs)},
        }


def _require_driver(database: str) -> None:
    """Airflow itself would say so in a traceback of forty lines."""
    scheme = database.partition(":")[0]
    if scheme.startswith("postgresql") and find_spec("psycopg2") is None:
        raise CommandError(
            f"No driver for {scheme} is installed. Install it beside Airflow: "
            f"{os.path.relpath(REPOSITORY)}/.venv/bin/uv pip install psycopg2-binary asyncpg"
        )
