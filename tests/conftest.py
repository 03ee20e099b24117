"""Fixtures that every tier shares: the real engine, and a name space of one's own on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from client.local.engine import Engine, free_port
from tests.fixtures_mlflow import mlflow_server

__all__ = ["mlflow_server"]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The real SQS and S3 engine on a loopback socket, one for the whole session."""
    running = Engine(tmp_path_factory.mktemp("engine"), free_port())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def aws_environment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The standard AWS variables, pointing at the engine; also set in this process."""
    environment = {
        "AWS_ENDPOINT_URL": engine.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def queue_prefix() -> str:
    """A prefix that no other test uses, so that tests can share one engine."""
    return f"t{uuid4().hex[:10]}-"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files beside the checkout; a test that needs it skips, saying so."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real files: {folder} does not exist")
    return folder
