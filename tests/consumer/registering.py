"""Registers tiny models over MLflow's REST interface, as training does with its client."""

from __future__ import annotations

from typing import Any

import httpx

from common.registry import CONTRACT_FILE, ENCODERS_FILE, MODEL_FILE, Tag, files_digest
from tests.consumer.tiny_models import TinyModel

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:/"


class TestRegistry:
    """Writes what the worker reads: versions with their three files, and aliases."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=30)

    def register(
        self,
        model: TinyModel,
        alias: str | None = "champion",
        *,
        digest: str | None = None,
    ) -> str:
        """Register a version, and point an alias to it; returns its number."""
        family = model.contract.family
        self._client.post(f"{API}/registered-models/create", json={"name": family})
        model_id, folder = self._logged_model(family)
        contract = model.contract.source_text.encode()
        contents = {
            MODEL_FILE: model.model,
            ENCODERS_FILE: model.encoders,
            CONTRACT_FILE: contract,
        }
        for name, content in contents.items():
            self._client.put(f"{ARTIFACTS}/{folder}/{name}", content=content).raise_for_status()
        found = files_digest(model=model.model, encoders=model.encoders, contract=contract)
        tags = {Tag.DIGEST: digest or found, Tag.CONTRACT: model.digest, Tag.FAMILY: family}
        answer = self._post(
            "model-versions/create",
            name=family,
            source=f"models:/{model_id}",
            model_id=model_id,
            tags=[{"key": str(key), "value": value} for key, value in tags.items()],
        )
        version: str = answer["model_version"]["version"]
        if alias is not None:
            self.point(family, alias, version)
        return version

    def point(self, family: str, alias: str, version: str) -> None:
        """Let an alias lead to a version."""
        self._post("registered-models/alias", name=family, alias=alias, version=version)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _logged_model(self, family: str) -> tuple[str, str]:
        """A new folder of files: its id, and its path on the server."""
        self._client.post(f"{API}/experiments/create", json={"name": family})
        found = self._client.get(f"{API}/experiments/get-by-name?experiment_name={family}")
        experiment = found.raise_for_status().json()["experiment"]["experiment_id"]
        info = self._post("logged-models", experiment_id=experiment, name=family)["model"]["info"]
        return info["model_id"], info["artifact_uri"].removeprefix(PROXIED).strip("/")

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (
            self._client.post(f"{API}/{path}", json=body).raise_for_status().json()
        )
        return answer
