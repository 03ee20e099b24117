"""What is registered is data, and stock MLflow and our own REST client read the same model."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest

from common.contracts import Contract, contract_digest, parse_contract
from common.errors import PermanentError
from common.features import decode
from common.registry import ModelVersion, Registry, Tag, files_digest
from orchestration.extraction import TrainingFile
from orchestration.training import Trained
from tests.orchestration.conftest import submission_of

pytestmark = [
    # MLflow warns about type hints of its own.
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow.types.type_hints"),
]


async def test_stock_mlflow_and_the_rest_client_predict_what_was_trained(
    contract: Contract,
    trained: Trained,
    registered: ModelVersion,
    sample_files: list[TrainingFile],
    mlflow_server: str,
) -> None:
    import mlflow  # noqa: PLC0415 - takes five seconds

    matrix = trained.encoders.matrix(sample_files[0].columns)
    expected = trained.booster.predict(matrix, num_threads=1)

    mlflow.set_tracking_uri(mlflow_server)
    stock = mlflow.pyfunc.load_model(f"models:/{contract.family}@challenger")
    np.testing.assert_array_equal(stock.predict(matrix), expected)

    async with Registry(mlflow_server) as registry:
        files = await registry.files(await registry.version_by_alias(contract.family, "challenger"))
    served = lightgbm.Booster(model_str=files.model.decode())
    features = decode(files.encoders).matrix(sample_files[0].columns)
    np.testing.assert_array_equal(features, matrix)
    np.testing.assert_array_equal(served.predict(features, num_threads=1), expected)
    assert (files.version.version, files.version.tags) == (registered.version, registered.tags)


async def test_a_version_carries_its_contract_and_the_tags_that_loading_relies_on(
    contract: Contract, registered: ModelVersion, mlflow_server: str
) -> None:
    async with Registry(mlflow_server) as registry:
        version = await registry.version(contract.family, registered.version)
        files = await registry.files(version)
        alone = await registry.contract(version)
    digest = files_digest(model=files.model, encoders=files.encoders, contract=files.contract)
    assert version.tags[Tag.DIGEST] == digest
    assert version.tags[Tag.FAMILY] == contract.family
    assert alone.encode() == files.contract
    kept = parse_contract(alone, source="kept")
    assert version.tags[Tag.CONTRACT] == contract_digest(kept) == contract_digest(contract)


def test_no_file_of_a_version_is_a_pickle(
    contract: Contract, registered: ModelVersion, mlflow_server: str
) -> None:
    import mlflow  # noqa: PLC0415 - takes five seconds

    mlflow.set_tracking_uri(mlflow_server)
    uri = f"models:/{contract.family}/{registered.version}"
    names = {file.path for file in mlflow.artifacts.list_artifacts(uri)}
    assert {"MLmodel", "model.lgb", "encoders.json", "contract.yaml"} <= names
    assert {name for name in names if not name.endswith((".yaml", ".txt", ".json"))} == {
        "MLmodel",
        "model.lgb",
    }


def test_a_signature_says_the_width_of_the_matrix_and_the_number_of_labels(
    contract: Contract, trained: Trained, registered: ModelVersion, mlflow_server: str
) -> None:
    import mlflow  # noqa: PLC0415 - takes five seconds

    mlflow.set_tracking_uri(mlflow_server)
    signature = mlflow.models.get_model_info(
        f"models:/{contract.family}/{registered.version}"
    ).signature
    assert signature is not None
    assert signature.inputs.inputs[0].shape == (-1, len(trained.encoders.names))
    assert signature.outputs.inputs[0].shape == (-1, len(trained.encoders.labels))


def test_a_run_that_is_registered_again_gives_the_version_that_it_became(
    contract: Contract, trained: Trained, registered: ModelVersion, mlflow_server: str
) -> None:
    from orchestration.registration import register  # noqa: PLC0415 - takes five seconds

    again = register(submission_of(contract, trained), mlflow_server)
    assert again.version == registered.version
    assert again.model_id == registered.model_id


def test_a_tracking_uri_that_is_no_server_is_refused(contract: Contract, trained: Trained) -> None:
    from orchestration.registration import register  # noqa: PLC0415 - takes five seconds

    with pytest.raises(PermanentError, match="address") as refused:
        register(submission_of(contract, trained), "sqlite:///mlflow.db")
    assert refused.value.code == "bad-tracking-uri"


def test_a_run_that_is_only_tracked_registers_nothing(
    contract: Contract, trained: Trained, mlflow_server: str
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - takes five seconds

    from orchestration.registration import track  # noqa: PLC0415 - takes five seconds

    client = MlflowClient(mlflow_server, mlflow_server)
    before = versions_of(client, contract.family)
    submission = submission_of(contract, trained, "only-tracked")
    run = client.get_run(track(submission, mlflow_server))

    assert run.info.run_name == "only-tracked"
    assert run.info.status == "FINISHED"
    experiment = client.get_experiment_by_name(contract.family)
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id
    assert run.data.params == {name: str(each) for name, each in submission.parameters.items()}
    assert run.data.metrics == submission.metrics
    assert submission.tags.items() <= run.data.tags.items()
    assert [file.path for file in client.list_artifacts(run.info.run_id, "card")] == [
        "card/model-card.md"
    ]
    assert run.outputs is not None
    assert not run.outputs.model_outputs
    assert versions_of(client, contract.family) == before


def versions_of(client: Any, family: str) -> list[str]:
    return sorted(each.version for each in client.search_model_versions(f"name = '{family}'"))
