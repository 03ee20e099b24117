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
from orchestration.hyperparameters import DEFAULT, Hyperparameters
from orchestration.text_prior import text_prior

__all__ = ["DEFAULT", "Hyperparameters", "Trained", "train"]

BALANCE_BESIDE_TEXT = 0.5
"""Of ``balance``: at full weight, trees undid what the text had right (purchase cards, an inner
month: accuracy 0.607, against 0.641 at half and 0.639 of the text alone)."""


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
    labelled = [LabelledFile(file.columns, file.labels, file.weights) for file in files]
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
    share = BALANCE_BESIDE_TEXT if encoders.text_scores else 1.0
    dataset = lightgbm.Dataset(
        fitted.matrix,
        fitted.targets,
        weight=_weights(fitted, hyperparameters.balance * share),
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


def _weights(fitted: Fitted, balance: float) -> NDArray[np.float64]:
    """A weight a row, of its label's rarity and its own; their mean is 1."""
    counts = np.bincount(fitted.targets, minlength=len(fitted.encoders.labels))
    rarity = np.maximum(counts, 1).astype(np.float64)[fitted.targets] ** -balance
    weights = rarity * fitted.weights
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
