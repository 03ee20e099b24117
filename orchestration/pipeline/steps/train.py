"""Trains one variant on what is not held out, and says how it fares on a part of that.

Variants are chosen among by that inner part: chosen by the holdout, the best of many would look
better there than it is.
"""

from __future__ import annotations

import msgspec

from common.registry import CONTRACT_FILE, ENCODERS_FILE, MODEL_FILE
from orchestration.evaluation import answer, figures
from orchestration.extraction import TrainingFile
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.prepared import read_train
from orchestration.splits import divide, freeze
from orchestration.training import Hyperparameters, train

INNER = "inner"


class TrainedVariant(msgspec.Struct, frozen=True, kw_only=True):
    """A trained variant. ``inner_macro_f1`` is there when there are several to choose among."""

    settings: Hyperparameters
    rows: int
    trees: int
    model_bytes: int
    encoder_bytes: int
    label_counts: dict[str, int]
    left_out: dict[str, int]
    inner_macro_f1: float | None


def run(folder: RunFolder, variant: str) -> Outcome:
    """Write the variant's three files under ``models/<variant>/``.

    Raises:
        PermanentError: code "too-few-labels" when there is nothing to tell apart.
    """
    contract = folder.contract
    settings = msgspec.structs.replace(folder.variant(variant).settings, seed=folder.spec.seed)
    files = read_train(folder)
    inner = _inner(folder, files, settings) if len(folder.spec.variants) > 1 else None
    trained = train(contract, files, settings)
    place = model_place(variant)
    written = {
        f"{place}/{MODEL_FILE}": trained.model,
        f"{place}/{ENCODERS_FILE}": trained.encoder_bytes,
        f"{place}/{CONTRACT_FILE}": contract.source_text.encode(),
    }
    for name, content in written.items():
        folder.write(name, content)
    return Outcome(
        TrainedVariant(
            settings=settings,
            rows=sum(len(file.labels) for file in files),
            trees=trained.booster.num_trees(),
            model_bytes=len(trained.model),
            encoder_bytes=len(trained.encoder_bytes),
            label_counts=trained.label_counts,
            left_out=trained.left_out,
            inner_macro_f1=inner,
        ),
        list(written),
    )


def model_place(variant: str) -> str:
    """The folder of a variant's files in the run's folder."""
    return f"models/{variant}"


def _inner(folder: RunFolder, files: list[TrainingFile], settings: Hyperparameters) -> float:
    holdout = freeze(folder.contract, files, purpose=INNER)
    parts = divide(folder.contract, files, holdout)
    return figures(answer(train(folder.contract, parts.train, settings), parts.test)).macro_f1
