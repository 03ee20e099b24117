"""The local model registry: MLflow's own server, on SQLite, keeping artifacts beside it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from uuid import uuid4

from client.local.children import Child
from client.local.readiness import Awaited, free_port
from client.settings import inherited_environment

MLFLOW_PORT = 5000
TOKENS = "started"
START_TIMEOUT_SECONDS = 180.0


class RegistryServer:
    """A running MLflow server. What it holds outlives it, in ``state``."""

    def __init__(self, state: Path, log: Path) -> None:
        self.state = state
        self.log = log
        self._claim = _claim(MLFLOW_PORT)
        self.port = free_port(0 if self._claim is None else MLFLOW_PORT)
        self.url = f"http://127.0.0.1:{self.port}"

    def launch(self) -> Awaited:
        """Start the server without waiting."""
        artifacts = self.state / "artifacts"
        token = _new_token(artifacts)
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
        return Awaited(
            child=child,
            url=f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{token}",
            timeout_seconds=START_TIMEOUT_SECONDS,
        )

    def release(self) -> None:
        """Let another local system have the usual port, once the server has stopped."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def _claim(port: int) -> int | None:
    """Tell other local systems that ``port`` will be listened on, seconds before it is.

    The claim is a name that the kernel forgets with its process, held by a file descriptor; None
    when it is somebody else's.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0carimbo-mlflow-{port}")
    except OSError:
        claim.close()
        return None
    return claim.detach()


def _new_token(artifacts: Path) -> str:
    """Put a file among the artifacts that no other server can give out.

    MLflow takes seconds to listen. Whoever takes its port meanwhile may be another MLflow, which
    must not be mistaken for this one.
    """
    folder = artifacts / TOKENS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name = uuid4().hex
    (folder / name).touch()
    return f"{TOKENS}/{name}"
