"""The local model registry: MLflow's own server, on SQLite, keeping artifacts beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from client.local.children import Child
from client.local.readiness import Awaited, free_port
from client.settings import inherited_environment

MLFLOW_PORT = 5000
START_TIMEOUT_SECONDS = 180.0


class RegistryServer:
    """A running MLflow server. What it holds outlives it, in ``state``."""

    def __init__(self, state: Path, log: Path) -> None:
        self.state = state
        self.log = log
        self.port = free_port(MLFLOW_PORT)
        self.url = f"http://127.0.0.1:{self.port}"

    def launch(self) -> Awaited:
        """Start the server without waiting."""
        artifacts = self.state / "artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        child = Child(
            "MLflow",
            [
                *(sys.executable, "-m", "mlflow", "server"),
                *("--backend-store-uri", f"sqlite:///{self.state / 'mlflow.db'}"),
                *("--artifacts-destination", artifacts.as_uri()),
                *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            ],
            environment={
                **inherited_environment(),
                # The job runner would be seven more processes that nothing here uses.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            log=self.log,
        )
        return Awaited(child=child, url=f"{self.url}/health", timeout_seconds=START_TIMEOUT_SECONDS)
