"""The first models of a new local system: trained here, on generated samples, when none exist."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from client.errors import CommandError
from client.local.children import Child
from client.local.services import Surroundings

CHAMPION = "champion"
REQUEST_TIMEOUT_SECONDS = 30.0
MODELS_AT_MOST = 1_000


def without_champion(families: Sequence[str], mlflow: str) -> list[str]:
    """The families that no version of is in service yet.

    Raises:
        CommandError: the registry does not say.
    """
    with httpx.Client(
        base_url=mlflow, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
    ) as registry:
        return [family for family in families if not _has_champion(registry, family)]


def in_service(families: Sequence[str], mlflow: str) -> list[str]:
    """``families``, and every other model of the registry that has a champion.

    Raises:
        CommandError: the registry does not say.
    """
    with httpx.Client(
        base_url=mlflow, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
    ) as registry:
        try:
            response = registry.get(
                "/api/2.0/mlflow/registered-models/search", params={"max_results": MODELS_AT_MOST}
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise CommandError(f"MLflow's registry at {mlflow} failed: {error}") from error
    found = [
        model["name"]
        for model in response.json().get("registered_models", [])
        if any(alias["alias"] == CHAMPION for alias in model.get("aliases", []))
    ]
    return sorted({*families, *found})


def generate_samples(families: Sequence[str], folder: Path, surroundings: Surroundings) -> Child:
    """Start writing sample files, a folder a family."""
    return _start(
        "generating samples",
        ["samples", "--contract", *families, "--out", str(folder)],
        surroundings,
    )


def train(families: Sequence[str], samples: Path, surroundings: Surroundings) -> Child:
    """Start training a champion of each family on its samples."""
    return _start(
        "training",
        [
            *("train", "--contract", *families),
            *("--data", str(samples), "--run", str(samples.parent / "runs")),
        ],
        surroundings,
    )


def _has_champion(registry: httpx.Client, family: str) -> bool:
    try:
        response = registry.get(
            "/api/2.0/mlflow/registered-models/alias", params={"name": family, "alias": CHAMPION}
        )
    except httpx.HTTPError as error:
        raise CommandError(f"MLflow's registry at {registry.base_url} failed: {error}") from error
    if response.is_success:
        return True
    # MLflow answers 404 for an unknown model and 400 for an unknown alias of a known one.
    if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
        return False
    raise CommandError(
        f"MLflow's registry at {registry.base_url} answered {response.status_code} when asked for "
        f"the {CHAMPION} of {family}; its log says why."
    )


def _start(name: str, arguments: Sequence[str], surroundings: Surroundings) -> Child:
    return Child(
        name,
        [sys.executable, "-m", "orchestration", *arguments],
        environment=surroundings.environment(),
        log=surroundings.logs / f"{name.replace(' ', '-')}.log",
    )
