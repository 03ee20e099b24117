"""The local AWS engine: LocalStack's SQS and S3 in an environment and a process of their own."""

from __future__ import annotations

import os
from pathlib import Path

from client.errors import CommandError
from client.local.children import Child, stop
from client.local.readiness import Awaited, free_port, wait_until_ready
from client.settings import REPOSITORY

__all__ = ["Engine", "free_port"]

ENGINE_PYTHON = REPOSITORY / ".venv-engine" / "bin" / "python"
ENGINE_SCRIPT = REPOSITORY / "scripts" / "engine.py"
START_TIMEOUT_SECONDS = 90.0


class Engine:
    """A running engine. Keeps nothing over a restart: queues and buckets are made anew."""

    def __init__(self, state: Path, port: int, log: Path | None = None) -> None:
        self.state = state
        self.log = log or state / "engine.log"
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.child: Child | None = None

    @property
    def pid(self) -> int:
        """The engine's process id, which is also its process group."""
        if self.child is None:
            raise RuntimeError("The engine is not running; call start() first.")
        return self.child.pid

    def start(self) -> None:
        """Start the engine and wait until SQS and S3 answer."""
        try:
            wait_until_ready([self.launch()])
        except BaseException:
            self.stop()
            raise

    def launch(self) -> Awaited:
        """Start the engine without waiting.

        Raises:
            CommandError: its environment has not been made.
        """
        if not ENGINE_PYTHON.exists():
            raise CommandError(
                f"The local AWS engine's environment is missing ({ENGINE_PYTHON} does not exist). "
                "Make it: make setup"
            )
        temporary = self.state / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self.child = Child(
            "the engine (SQS and S3)",
            [str(ENGINE_PYTHON), str(ENGINE_SCRIPT)],
            environment=_environment(self.state, temporary, self.port),
            log=self.log,
        )
        return Awaited(
            child=self.child,
            url=f"{self.url}/_localstack/health",
            timeout_seconds=START_TIMEOUT_SECONDS,
        )

    def stop(self) -> None:
        """Stop the engine's whole process group, politely first."""
        if self.child is not None:
            stop([self.child])
            self.child = None


def _environment(state: Path, temporary: Path, port: int) -> dict[str, str]:
    """LocalStack's settings: SQS and S3 only, loopback, no certificate download, no telemetry.

    It writes S3 objects to a fixed name in TMPDIR, so every engine gets a TMPDIR of its own.
    """
    address = f"127.0.0.1:{port}"
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(state),
        "TMPDIR": str(temporary),
        "SERVICES": "sqs,s3",
        "EAGER_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": address,
        "LOCALSTACK_HOST": address,
        "SQS_ENDPOINT_STRATEGY": "path",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "LS_LOG": "warning",
        "LOCALSTACK_VOLUME_DIR": str(state),
        "FILESYSTEM_ROOT": str(state / "fs"),
    }
