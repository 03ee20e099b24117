"""The only place in the client that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

STATE = "CARIMBO_STATE"
"""Names another folder for what the local system keeps; its default is in the clone itself."""

ALREADY_SETTLED = ("AWS_", "CARIMBO_", "MLFLOW_", "OTEL_")
"""Prefixes of the variables that a local process gets from us and never from the caller's shell."""

POINTING = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
)
"""What the standard variables begin with that say whose queues are meant."""


def state_folder() -> Path:
    """Where the local system keeps its models, samples and logs (``.carimbo`` in the clone)."""
    return Path(os.environ.get(STATE) or REPOSITORY / ".carimbo").resolve()


def inherited_environment() -> dict[str, str]:
    """The caller's environment without what could point a local process at anything else.

    A profile or a proxy of the caller's shell must not come between processes on loopback.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ALREADY_SETTLED) and not name.upper().endswith("_PROXY")
    }
    return {**kept, "NO_PROXY": "*"}


def queue_prefix(environment: Mapping[str, str] = os.environ) -> str:
    """What every queue's name starts with; the services have the same default."""
    return environment.get("CARIMBO_QUEUE_PREFIX") or "carimbo-"


def bucket(environment: Mapping[str, str] = os.environ) -> str:
    """The bucket that keeps the results; the services have the same default."""
    return environment.get("CARIMBO_BUCKET") or "carimbo"


def tracking_uri() -> str | None:
    """The registry that the caller's shell points at, under MLflow's own name; None if it does not.

    The local system's own is used otherwise.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or None


def names_aws() -> bool:
    """Whether the caller's shell points at an AWS; a certificate bundle, say, does not."""
    return any(name.startswith(POINTING) for name in os.environ)


def local_aws(engine: str) -> dict[str, str]:
    """The standard AWS variables for the local engine, which takes any key."""
    return {
        "AWS_ENDPOINT_URL": engine,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def point_at_local_engine(engine: str) -> None:
    """Have this process's AWS clients talk to the local engine, past any proxy."""
    os.environ.update(local_aws(engine), NO_PROXY="*")
