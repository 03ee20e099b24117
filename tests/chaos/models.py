"""Versions of one tiny model: one that serves, and three that are trouble of an honest kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from common.registry import ModelFiles, ModelVersion
from consumer.served_model import ServedModel, build
from tests.chaos.sendings import Kind, Sending
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import TinyModel, train

FAMILY = "parcels"
SLOW_ROUNDS = 4000
"""Trees enough for some half a second a thousand rows."""


@dataclass(frozen=True)
class Models:
    """What is registered: the version that each kind of file asks for, and what serves it."""

    versions: dict[Kind, str]
    good: TinyModel

    @cached_property
    def served(self) -> ServedModel:
        """The serving version, built as a worker builds it."""
        files = ModelFiles(
            version=ModelVersion(model=FAMILY, version="1", model_id="expected"),
            model=self.good.model,
            encoders=self.good.encoders,
            contract=self.good.contract.source_text.encode(),
        )
        return build(FAMILY, "1", files)

    def expected_labels(self, sending: Sending) -> list[str]:
        """The labels of a good file, as its rows alone decide them."""
        return self.served.scores(self.served.matrix(sending.columns())).labels


def register(mlflow: str) -> Models:
    """Train and register every version; the serving one is the champion."""
    good = train(FAMILY, 1)
    other = train(FAMILY, 2, context=False)
    registry = TestRegistry(mlflow)
    try:
        versions = {
            Kind.GOOD: registry.register(good),
            Kind.SLOW: registry.register(train(FAMILY, 3, rounds=SLOW_ROUNDS), None),
            # Encoders of one training and trees of another: refused when a worker loads it.
            Kind.UNUSABLE: registry.register(_mixed(good, other), None),
            Kind.CRASHING: registry.register(_crashing(good), None),
        }
    finally:
        registry.close()
    return Models(versions, good)


def _mixed(model: TinyModel, other: TinyModel) -> TinyModel:
    return TinyModel(model.contract, other.encoders, model.model, model.labels)


def _crashing(model: TinyModel) -> TinyModel:
    """Trees whose sizes do not match their text: LightGBM's own threads abort the process."""
    text = re.sub(r"(split_feature=)([0-9 ]+)", _far_features, model.model.decode())
    return TinyModel(model.contract, model.encoders, text.encode(), model.labels)


def _far_features(found: re.Match[str]) -> str:
    return found[1] + " ".join("100000000" for _ in found[2].split())
