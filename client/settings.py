"""The only place in the client that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

STATE = "CARIMBO_STATE"
"""Names another folder for what the local system keeps; its default is in the clone itself."""

ALREADY_SETTLED = ("AWS_", "CARIMBO_", "MLFLOW_", "OTEL_")
"""Prefixes of the variables that a local process gets from us and never from the caller's shell."""


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
