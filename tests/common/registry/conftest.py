"""A model of each test's own on the session's MLflow server, and the client that reads it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from common.registry import Registry, files_digest

CONTENT = {"model.lgb": b"tree\n", "encoders.json": b"{}", "contract.yaml": "é: 1\n".encode()}
DIGEST = files_digest(
    model=CONTENT["model.lgb"],
    encoders=CONTENT["encoders.json"],
    contract=CONTENT["contract.yaml"],
)


class Server:
    """Writes to MLflow over REST, as training does through MLflow's own client."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.model = f"model-{uuid4().hex[:8]}"
        self.post("registered-models/create", name=self.model, description="of a test")
        self.experiment = self.post("experiments/create", name=self.model)["experiment_id"]

    def add(self, content: dict[str, bytes], tags: dict[str, str]) -> str:
        """Register a version that consists of ``content``; return its number."""
        made = self.post("logged-models", experiment_id=self.experiment, name="model")
        info = made["model"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for name, body in content.items():
            self.send(f"-artifacts/artifacts/{folder}/{name}", body, "PUT")
        version = self.post(
            "model-versions/create",
            name=self.model,
            source=f"models:/{info['model_id']}",
            model_id=info["model_id"],
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        return str(version["model_version"]["version"])

    def point(self, alias: str, version: str) -> None:
        self.post("registered-models/alias", name=self.model, alias=alias, version=version)

    def post(self, path: str, **body: Any) -> Any:
        return json.loads(self.send(f"/{path}", json.dumps(body).encode(), "POST") or b"{}")

    def send(self, path: str, body: bytes, method: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.uri}/api/2.0/mlflow{path}",
            data=body,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            sent: bytes = answer.read()
            return sent


@pytest.fixture
def server(mlflow_server: str) -> Server:
    """The real server, and a model of this test's own on it."""
    return Server(mlflow_server)


@pytest.fixture
async def registry(mlflow_server: str) -> AsyncIterator[Registry]:
    async with Registry(mlflow_server) as opened:
        yield opened
