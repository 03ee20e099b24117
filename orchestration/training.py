"""Fits a family's encoders and its LightGBM model. The same rows give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from common.contracts import Contract
from common.errors import PermanentError
from common.features import Encoders, encode
from common.features.fitting import Fitted, LabelledFile, fit_encoders
from orchestration.extraction import TrainingFile
from orchestration.text_prior import text_prior


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True):
    """What training chose once, for every family; logged with each version.

    ``rounds`` is cut down so that a model of many labels has at most ``trees_at_most`` trees: a
    tree costs every row some 20 ns. A label of fewer than ``label_rows`` training rows is left
    out. ``balance`` weighs a label of n rows by n to the power of minus ``balance``: 0 serves
    accuracy, 1 serves every label alike.
    """

    rounds: int = 25
    trees_at_most: int = 1_600
    label_rows: int = 5
    balance: float = 0.5
    learning_rate: float = 0.1
    leaves: int = 7
    leaf_rows: int = 20
    penalty: float = 10.0
    seed: int = 7
    threads: int = 2


DEFAULT = Hyperparameters()


class Trained(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A model as data.

    ``left_out`` are the labels that were too rare, with their rows; ``label_counts`` are the
    training rows of those it knows.
    """

    booster: lightgbm.Booster
    model: bytes
    encoders: Encoders
    hyperparameters: Hyperparameters
    label_counts: dict[str, int]
    left_out: dict[str, int]
    features_seconds: float
    boosting_seconds: float

    @cached_property
    def encoder_bytes(self) -> bytes:
        """The encoders as they are kept with the model."""
        return encode(self.encoders)


def train(
    contract: Contract,
    files: Sequence[TrainingFile],
    hyperparameters: Hyperparameters = DEFAULT,
) -> Trained:
    """Learn the labels of ``files``.

    Raises:
        PermanentError: code "too-few-labels" when fewer than two labels have rows enough.
    """
    counts = Counter(label for file in files for label in file.labels)
    labels = sorted(label for label in counts if counts[label] >= hyperparameters.label_rows)
    if len(labels) < 2:  # noqa: PLR2004 - something to tell apart
        raise PermanentError(
            "too-few-labels",
            f"{len(labels)} labels have {hyperparameters.label_rows} rows or more; at least two "
            f"must, for {contract.family} to have something to tell apart. Add labelled files.",
        )
    started = perf_counter()
    labelled = [LabelledFile(file.columns, file.labels) for file in files]
    fitted = fit_encoders(contract.recipe, labelled, labels)
    fitted_at = perf_counter()
    booster = _boost(fitted, hyperparameters)
    model = booster.model_to_string()
    return Trained(
        booster=booster,
        model=model.encode(),
        encoders=fitted.encoders,
        hyperparameters=hyperparameters,
        label_counts={label: counts[label] for label in labels},
        left_out={label: counts[label] for label in sorted(counts) if label not in set(labels)},
        features_seconds=fitted_at - started,
        boosting_seconds=perf_counter() - fitted_at,
    )


def _boost(fitted: Fitted, hyperparameters: Hyperparameters) -> lightgbm.Booster:
    """Boost, then read the model back from its text: what is judged is what will be served."""
    encoders = fitted.encoders
    labels = len(encoders.labels)
    names = [f"feature_{place}" for place in range(len(encoders.names))]
    dataset = lightgbm.Dataset(
        fitted.matrix,
        fitted.targets,
        weight=_weights(fitted.targets, labels, hyperparameters.balance),
        feature_name=names,
        categorical_feature=encoders.categorical,
    )
    start = text_prior(names, encoders.text_scores, labels) if encoders.text_scores else None
    booster = lightgbm.train(
        _parameters(hyperparameters, labels),
        dataset,
        num_boost_round=max(
            1, min(hyperparameters.rounds, hyperparameters.trees_at_most // labels)
        ),
        init_model=start,
    )
    return lightgbm.Booster(model_str=booster.model_to_string())


def _weights(targets: NDArray[np.intp], labels: int, balance: float) -> NDArray[np.float64]:
    """A weight a row; their mean is 1."""
    counts = np.bincount(targets, minlength=labels)
    weights = np.maximum(counts, 1).astype(np.float64)[targets] ** -balance
    mean: float = weights.mean()
    return weights / mean


def _parameters(hyperparameters: Hyperparameters, labels: int) -> dict[str, Any]:
    return {
        "objective": "multiclass",
        "num_class": labels,
        "learning_rate": hyperparameters.learning_rate,
        "num_leaves": hyperparameters.leaves,
        "min_data_in_leaf": hyperparameters.leaf_rows,
        "lambda_l2": hyperparameters.penalty,
        "seed": hyperparameters.seed,
        "num_threads": hyperparameters.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
