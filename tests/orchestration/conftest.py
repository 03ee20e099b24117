"""A trained model on generated samples, in a real registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts import Contract, shipped_contracts
from common.registry import ModelVersion, Tag
from orchestration.extraction import TrainingFile, extract
from orchestration.samples import generate, shipped_profile
from orchestration.submission import Submission
from orchestration.training import Hyperparameters, Trained, train

FAMILIES = ("card-accounts", "purchase-cards")
FILES = 6
FEW_ROUNDS = Hyperparameters(rounds=4, threads=1)


@pytest.fixture(scope="session", params=FAMILIES)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Each of the shipped contracts."""
    return shipped_contracts()[request.param]


@pytest.fixture(scope="session")
def sample_folder(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six generated files of the contract."""
    folder = tmp_path_factory.mktemp(contract.family)
    profile = shipped_profile(contract.family)
    for sample in generate(contract, profile, files=FILES, seed=1):
        (folder / sample.name).write_bytes(sample.content)
    return folder


@pytest.fixture(scope="session")
def sample_files(contract: Contract, sample_folder: Path) -> list[TrainingFile]:
    """The generated files, read as the service reads a client's."""
    return extract(contract, sample_folder).files


@pytest.fixture(scope="session")
def trained(contract: Contract, sample_files: list[TrainingFile]) -> Trained:
    """A small model of the generated files."""
    return train(contract, sample_files, FEW_ROUNDS)


@pytest.fixture(scope="session")
def registered(contract: Contract, trained: Trained, mlflow_server: str) -> ModelVersion:
    """The same model, in the registry as its family's challenger."""
    from orchestration.registration import register  # noqa: PLC0415 - takes five seconds

    return register(submission_of(contract, trained), mlflow_server)


def submission_of(contract: Contract, trained: Trained, run_id: str = "run-1") -> Submission:
    """What a run would hand over."""
    return Submission(
        contract=contract,
        model=trained.model,
        encoders=trained.encoder_bytes,
        run_id=run_id,
        parameters={"rounds": FEW_ROUNDS.rounds},
        metrics={"held_out_accuracy": 0.5},
        artifacts={"card/model-card.md": b"# A card"},
        tags={Tag.VERDICT.value: "kept"},
    )
