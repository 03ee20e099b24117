"""MLflow's REST answers, as far as we read them. Unknown fields are MLflow's own business."""

from __future__ import annotations

import msgspec

from common.registry.model import ModelVersion, RegisteredModel

MODEL_SOURCE = "models:/"


class KeyValue(msgspec.Struct):
    """A tag."""

    key: str
    value: str = ""


class Version(msgspec.Struct):
    """A model version; its folder of files is named by ``model_id``, or by ``source``."""

    name: str
    version: str
    model_id: str = ""
    source: str = ""
    run_id: str = ""
    creation_timestamp: int = 0
    tags: list[KeyValue] = []

    def plain(self) -> ModelVersion:
        """As the rest of the system sees it."""
        model_id = self.model_id or self.source.removeprefix(MODEL_SOURCE)
        tags = {tag.key: tag.value for tag in self.tags}
        return ModelVersion(
            model=self.name,
            version=self.version,
            model_id=model_id,
            tags=tags,
            run_id=self.run_id,
            created_ms=self.creation_timestamp,
        )


class Alias(msgspec.Struct):
    """Where an alias points."""

    alias: str
    version: str


class Model(msgspec.Struct):
    """A registered model."""

    name: str
    description: str = ""
    aliases: list[Alias] = []
    tags: list[KeyValue] = []

    def plain(self, versions: list[ModelVersion]) -> RegisteredModel:
        """As the rest of the system sees it, newest version first."""
        return RegisteredModel(
            name=self.name,
            description=self.description,
            aliases={alias.alias: alias.version for alias in self.aliases},
            tags={tag.key: tag.value for tag in self.tags},
            versions=sorted(versions, key=lambda version: int(version.version), reverse=True),
        )


class OneModel(msgspec.Struct):
    """``registered-models/get``."""

    registered_model: Model


class OneVersion(msgspec.Struct):
    """``model-versions/get`` and ``registered-models/alias``."""

    model_version: Version


class Models(msgspec.Struct):
    """A page of ``registered-models/search``."""

    registered_models: list[Model] = []
    next_page_token: str = ""


class Versions(msgspec.Struct):
    """A page of ``model-versions/search``."""

    model_versions: list[Version] = []
    next_page_token: str = ""


class LoggedModelInfo(msgspec.Struct):
    """Where a model's folder of files is."""

    artifact_uri: str


class LoggedModel(msgspec.Struct):
    """The part of a logged model that locates it."""

    info: LoggedModelInfo


class OneLoggedModel(msgspec.Struct):
    """``logged-models/{id}``."""

    model: LoggedModel


class Metric(msgspec.Struct):
    """The last value of a figure; MLflow writes NaN and infinities as words."""

    key: str
    value: float | str = 0.0


class RunData(msgspec.Struct):
    """What a run logged."""

    metrics: list[Metric] = []


class Run(msgspec.Struct):
    """The part of a run that holds its figures."""

    data: RunData


class OneRun(msgspec.Struct):
    """``runs/get``."""

    run: Run


class Refusal(msgspec.Struct):
    """MLflow's error body."""

    error_code: str = ""
    message: str = ""
