"""The local AWS engine: LocalStack's SQS and S3 in an environment and a process of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = REPOSITORY / ".venv-engine" / "bin" / "python"
ENGINE_SCRIPT = REPOSITORY / "scripts" / "engine.py"
START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 10.0


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Engine:
    """A running engine. Keeps nothing over a restart: queues and buckets are made anew."""

    def __init__(self, state: Path, port: int) -> None:
        self.state = state
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The engine's process id, which is also its process group."""
        if self._process is None:
            raise RuntimeError("The engine is not running; call start() first.")
        return self._process.pid

    def start(self) -> None:
        """Start the engine and wait until SQS and S3 answer."""
        temporary = self.state / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        with (self.state / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, no shell
                [str(ENGINE_PYTHON), str(ENGINE_SCRIPT)],
                env=_environment(self.state, temporary, self.port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(time.monotonic() + START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop the engine's whole process group, politely first."""
        if self._process is None:
            return
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal_number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_SECONDS)
                break
        self._process = None

    def _wait_until_ready(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            with suppress(OSError):
                health = f"{self.url}/_localstack/health"
                with urllib.request.urlopen(health, timeout=2) as response:  # noqa: S310
                    if response.status == 200:  # noqa: PLR2004
                        return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(
            f"The local AWS engine did not start on port {self.port}; "
            f"see {self.state / 'engine.log'}."
        )


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
