"""Puts a trained model in MLflow's registry: as data, with the contract it was trained under."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import msgspec
import numpy as np
from mlflow.entities import Run
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from common.contracts import Contract, contract_digest
from common.errors import PermanentError, TransientError
from common.registry import (
    CONTRACT_FILE,
    ENCODERS_FILE,
    MODEL_FILE,
    ModelVersion,
    Tag,
    files_digest,
)
from orchestration.training import Trained

CHAMPION = "champion"
MODEL_NAME = "model"


def register(
    contract: Contract, trained: Trained, metrics: Mapping[str, float], tracking_uri: str
) -> ModelVersion:
    """Log a run, register its model under the contract's family, and make it the champion.

    The version appears in the registry only once all its files are there, and the alias moves last.

    Raises:
        PermanentError: code "bad-tracking-uri" when the address is not a server's.
        TransientError: code "registry-unavailable" when MLflow refuses or is away.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        raise PermanentError(
            "bad-tracking-uri",
            f"The tracking URI is {tracking_uri!r}: services read models from an MLflow server, "
            "so give its address, such as http://127.0.0.1:5000.",
        )
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        return _register(contract, trained, metrics)
    except mlflow.MlflowException as error:
        raise TransientError(
            "registry-unavailable",
            f"MLflow at {tracking_uri} did not take the model: {error}. Check that it is up.",
        ) from error


def _register(contract: Contract, trained: Trained, metrics: Mapping[str, float]) -> ModelVersion:
    client = MlflowClient()
    files = _files(contract, trained)
    # The server makes the experiment, so its artifacts are proxied and need no credentials.
    mlflow.set_experiment(contract.family)
    with mlflow.start_run() as run:
        mlflow.log_params(msgspec.structs.asdict(trained.hyperparameters))
        mlflow.log_metrics(dict(metrics))
        mlflow.log_dict(
            {"learnt": trained.label_counts, "left_out": trained.left_out}, "labels.json"
        )
        model_id = _log_model(client, trained, files)
    return _publish(client, contract, run, model_id, files)


def _files(contract: Contract, trained: Trained) -> dict[str, bytes]:
    return {
        MODEL_FILE: trained.model,
        ENCODERS_FILE: trained.encoder_bytes,
        CONTRACT_FILE: contract.source_text.encode(),
    }


def _log_model(client: MlflowClient, trained: Trained, files: Mapping[str, bytes]) -> str:
    """Log the model in MLflow's own layout, then our three files at its root.

    LightGBM's flavour writes a ``model.lgb`` of its own; ours takes its place, so that the bytes
    under the digest are exactly those that were judged.
    """
    width = len(trained.encoders.names)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, width))]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, len(trained.encoders.labels)))]),
    )
    requirements = [f"{name}=={installed(name)}" for name in ("lightgbm", "numpy")]
    logged = mlflow.lightgbm.log_model(
        trained.booster,
        name=MODEL_NAME,
        signature=signature,
        pip_requirements=requirements,
    )
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_model_artifacts(logged.model_id, folder)
    return str(logged.model_id)


def _publish(
    client: MlflowClient,
    contract: Contract,
    run: Run,
    model_id: str,
    files: Mapping[str, bytes],
) -> ModelVersion:
    tags = {
        Tag.DIGEST.value: files_digest(
            model=files[MODEL_FILE], encoders=files[ENCODERS_FILE], contract=files[CONTRACT_FILE]
        ),
        Tag.CONTRACT.value: contract_digest(contract),
        Tag.FAMILY.value: contract.family,
    }
    if not client.search_registered_models(f"name = '{contract.family}'"):
        client.create_registered_model(contract.family, description=contract.description)
    made = client.create_model_version(
        contract.family,
        source=f"models:/{model_id}",
        run_id=run.info.run_id,
        tags=tags,
        model_id=model_id,
    )
    client.set_registered_model_alias(contract.family, CHAMPION, made.version)
    return ModelVersion(
        model=contract.family, version=str(made.version), model_id=model_id, tags=tags
    )
