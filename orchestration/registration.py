"""Puts a trained model in MLflow: as data, with the contract it was trained under.

Only the steps that write to MLflow import this module: importing MLflow takes five seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory

import lightgbm
import mlflow
import numpy as np
from mlflow.entities import Run
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from common.contracts import contract_digest
from common.errors import PermanentError, TransientError
from common.features import Encoders, decode
from common.registry import (
    Alias,
    ModelVersion,
    Tag,
)
from orchestration.submission import Submission

MODEL_NAME = "model"
MODEL_SOURCE = "models:/"


def track(submission: Submission, tracking_uri: str) -> str:
    """Log a run and register nothing; return MLflow's id of the run.

    Raises:
        PermanentError: code "bad-tracking-uri" when the address is not a server's.
        TransientError: code "registry-unavailable" when MLflow refuses or is away.
    """
    with _mlflow_at(tracking_uri):
        run, _ = _log(MlflowClient(), submission, with_model=False)
        return str(run.info.run_id)


def register(submission: Submission, tracking_uri: str) -> ModelVersion:
    """Log a run and register its model under the contract's family, as the challenger.

    The version appears in the registry only once all its files are there. A run that was
    registered before gives the version that it became then.

    Raises:
        PermanentError: code "bad-tracking-uri" when the address is not a server's.
        TransientError: code "registry-unavailable" when MLflow refuses or is away.
    """
    with _mlflow_at(tracking_uri):
        client = MlflowClient()
        made = _registered_before(client, submission)
        if made is None:
            run, model_id = _log(client, submission, with_model=True)
            made = _publish(client, submission, run, model_id)
        client.set_registered_model_alias(made.model, Alias.CHALLENGER, made.version)
        return made


@contextmanager
def _mlflow_at(tracking_uri: str) -> Iterator[None]:
    if not tracking_uri.startswith(("http://", "https://")):
        raise PermanentError(
            "bad-tracking-uri",
            f"The tracking URI is {tracking_uri!r}: services read models from an MLflow server, "
            "so give its address, such as http://127.0.0.1:5000.",
        )
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        yield
    except mlflow.MlflowException as error:
        raise TransientError(
            "registry-unavailable",
            f"MLflow at {tracking_uri} did not take the model: {error}. Check that it is up.",
        ) from error


def _registered_before(client: MlflowClient, submission: Submission) -> ModelVersion | None:
    """A run may be registered twice: its process ended before it could note that it had been."""
    family = submission.contract.family
    for found in client.search_model_versions(f"name = '{family}'", max_results=100):
        same_run = found.tags.get(Tag.RUN) == submission.run_id
        if same_run and found.tags.get(Tag.DIGEST) == submission.digest:
            return ModelVersion(
                model=family,
                version=str(found.version),
                # The search leaves the model's id out; its source has it.
                model_id=str(found.model_id or str(found.source).removeprefix(MODEL_SOURCE)),
                tags=dict(found.tags),
                run_id=str(found.run_id or ""),
            )
    return None


def _log(client: MlflowClient, submission: Submission, *, with_model: bool) -> tuple[Run, str]:
    # The server makes the experiment, so its artifacts are proxied and need no credentials.
    mlflow.set_experiment(submission.contract.family)
    with mlflow.start_run(run_name=submission.run_id) as run:
        mlflow.set_tags(submission.tags)
        mlflow.log_params(submission.parameters)
        mlflow.log_metrics(submission.metrics)
        with TemporaryDirectory() as folder:
            for name, content in submission.artifacts.items():
                place = Path(folder) / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            mlflow.log_artifacts(folder)
        return run, _log_model(client, submission) if with_model else ""


def _log_model(client: MlflowClient, submission: Submission) -> str:
    """Log the model in MLflow's own layout, then our three files at its root.

    LightGBM's flavour writes a ``model.lgb`` of its own; ours takes its place, so that the bytes
    under the digest are exactly those that were judged.
    """
    encoders: Encoders = decode(submission.encoders)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, len(encoders.names)))]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, len(encoders.labels)))]),
    )
    requirements = [f"{name}=={installed(name)}" for name in ("lightgbm", "numpy")]
    logged = mlflow.lightgbm.log_model(
        lightgbm.Booster(model_str=submission.model.decode()),
        name=MODEL_NAME,
        signature=signature,
        pip_requirements=requirements,
    )
    with TemporaryDirectory() as folder:
        for name, content in submission.files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_model_artifacts(logged.model_id, folder)
    return str(logged.model_id)


def _publish(client: MlflowClient, submission: Submission, run: Run, model_id: str) -> ModelVersion:
    contract = submission.contract
    tags = {
        **submission.tags,
        Tag.DIGEST.value: submission.digest,
        Tag.CONTRACT.value: contract_digest(contract),
        Tag.FAMILY.value: contract.family,
        Tag.RUN.value: submission.run_id,
    }
    if not client.search_registered_models(f"name = '{contract.family}'"):
        client.create_registered_model(contract.family, description=contract.description)
    made = client.create_model_version(
        contract.family,
        source=f"{MODEL_SOURCE}{model_id}",
        run_id=run.info.run_id,
        tags=tags,
        model_id=model_id,
    )
    return ModelVersion(
        model=contract.family,
        version=str(made.version),
        model_id=model_id,
        tags=tags,
        run_id=run.info.run_id,
    )
