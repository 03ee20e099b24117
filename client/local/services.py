"""The commands and environments of the project's own processes in the local system."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from client.local.children import Child
from client.local.readiness import Awaited, free_port
from client.settings import inherited_environment, local_aws

START_TIMEOUT_SECONDS = 90.0
EXPORT_PERIOD_MILLISECONDS = 200
LOCAL_RECEIVERS = "127.0.0.1,localhost"
"""Callbacks may go to this machine itself: a person tries them with a receiver of their own."""

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the services find the rest of the system."""

    engine: str
    mlflow: str
    traces: str
    logs: Path

    def environment(self) -> dict[str, str]:
        """The variables that every process of ours gets."""
        return {
            **inherited_environment(),
            **local_aws(self.engine),
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.traces,
            # The SDK's five seconds would make a person wait for the first trace.
            "OTEL_BSP_SCHEDULE_DELAY": str(EXPORT_PERIOD_MILLISECONDS),
            "PYTHONUNBUFFERED": "1",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process to start, and to start again should it end."""

    name: str
    module: str
    port: int
    settings: Mapping[str, str]

    def launch(self, surroundings: Surroundings) -> Awaited:
        """Start it without waiting until it is ready."""
        child = Child(
            self.name,
            [sys.executable, "-m", self.module],
            environment={
                **surroundings.environment(),
                **self.settings,
                "CARIMBO_HOST": "127.0.0.1",
                "CARIMBO_PORT": str(self.port),
            },
            log=surroundings.logs / f"{self.name.replace(' ', '-')}.log",
        )
        return Awaited(
            child=child,
            url=f"http://127.0.0.1:{self.port}/health/ready",
            timeout_seconds=START_TIMEOUT_SECONDS,
        )


def producers(count: int, first_port: int) -> list[Service]:
    """HTTP replicas on consecutive ports, of which people are told."""
    return [
        Service(
            name=f"producer {number}",
            module="producer",
            port=first_port + number,
            # No balancer stands before them, so a stop need not wait until it has noticed.
            settings={"CARIMBO_CALLBACK_ALLOW": LOCAL_RECEIVERS, "CARIMBO_LEAVE_NOTICE": "0"},
        )
        for number in range(count)
    ]


def callback_service(secret: str) -> Service:
    """The deliverer of callbacks, which signs with ``secret``."""
    return Service(
        name="callbacks",
        module="callbacks",
        port=free_port(),
        settings={
            "CARIMBO_CALLBACK_SECRETS": secret,
            "CARIMBO_CALLBACK_ALLOW": LOCAL_RECEIVERS,
        },
    )


def new_secret() -> str:
    """Make a signing secret as Standard Webhooks writes them."""
    return "whsec_" + b64encode(token_bytes(SECRET_BYTES)).decode()


def consumers(count: int, models: Sequence[str]) -> list[Service]:
    """Workers of every model; their ports only serve health and metrics, so any will do."""
    return [
        Service(
            name=f"consumer {number}",
            module="consumer",
            port=free_port(),
            settings={"CARIMBO_MODELS": ",".join(models)},
        )
        for number in range(count)
    ]
