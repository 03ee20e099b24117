"""Chooses among the variants, and lets challenger and champion label the same held-out rows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np

from common.errors import PermanentError
from common.registry import (
    CONTRACT_FILE,
    ENCODERS_FILE,
    MODEL_FILE,
    Alias,
    ModelFiles,
    Registry,
)
from orchestration.evaluation import Quality, quality
from orchestration.labelling import Labeller
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.prepared import HeldOut, read_holdout
from orchestration.pipeline.steps.prepare import Prepared
from orchestration.pipeline.steps.train import TrainedVariant, model_place
from orchestration.pipeline.tags import HOLDOUT_TAG
from orchestration.settings import Settings

ANSWERS = "evaluation.msgpack"
NO_MODEL = frozenset({"unknown-version", "unknown-model"})
LATENCY_QUANTILE = 0.95


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said of the held-out rows; ``milliseconds`` are CPU for 200 rows, at p95."""

    labels: list[str]
    confidences: list[float]
    milliseconds: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the gate looks at, a row each."""

    truth: list[str]
    groups: list[str]
    majority: str
    challenger: Judged
    champion: Judged | None


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen variant's figures, and the champion's on the same rows.

    ``note`` says what makes the comparison less than fair, if anything does.
    """

    variant: str
    inner_macro_f1: dict[str, float]
    rows: int
    majority: Quality
    challenger: Quality
    challenger_milliseconds: float
    champion_version: str | None
    champion: Quality | None
    champion_milliseconds: float | None
    note: str | None


def run(folder: RunFolder) -> Outcome:
    """Write both models' answers.

    Raises:
        PermanentError: the champion's files are not what was registered.
        TransientError: the registry is away.
    """
    trained = {
        variant.name: folder.summary("train", TrainedVariant, variant.name)
        for variant in folder.spec.variants
    }
    chosen = _best(trained)
    held = read_holdout(folder)
    champion = asyncio.run(_champion(folder)) if folder.spec.uses_registry else None
    challenger = Labeller.of(**_files(folder.path / model_place(chosen)))
    counts = trained[chosen].label_counts
    evaluation = Evaluation(
        truth=[label for file in held for label in file.labels],
        groups=[group for file in held for group in file.groups],
        majority=max(sorted(counts), key=lambda label: counts[label]),
        challenger=_judge(folder, held, challenger),
        champion=_judge(folder, held, Labeller.registered(champion)) if champion else None,
    )
    folder.write(ANSWERS, msgspec.msgpack.encode(evaluation))
    return Outcome(_summary(folder, evaluation, trained, chosen, champion), [ANSWERS])


def read_evaluation(folder: RunFolder) -> Evaluation:
    """What was written."""
    return msgspec.msgpack.decode((folder.path / ANSWERS).read_bytes(), type=Evaluation)


def _best(trained: dict[str, TrainedVariant]) -> str:
    """The variant that fares best on the inner part; of equals, the one named first."""
    return max(trained, key=lambda name: trained[name].inner_macro_f1 or 0.0)


async def _champion(folder: RunFolder) -> ModelFiles | None:
    async with Registry(Settings().mlflow_tracking_uri) as registry:
        try:
            version = await registry.version_by_alias(folder.spec.family, Alias.CHAMPION)
        except PermanentError as error:
            if error.code in NO_MODEL:
                return None
            raise
        return await registry.files(version)


def _files(place: Path) -> dict[str, bytes]:
    return {
        "model": (place / MODEL_FILE).read_bytes(),
        "encoders": (place / ENCODERS_FILE).read_bytes(),
        "contract": (place / CONTRACT_FILE).read_bytes(),
    }


def _judge(folder: RunFolder, held: list[HeldOut], labeller: Labeller) -> Judged:
    contents = [((folder.path / file.path).read_bytes(), file.name) for file in held]
    labels: list[str] = []
    confidences: list[float] = []
    for (content, name), file in zip(contents, held, strict=True):
        said, sure = labeller.label(content, name, file.lines)
        labels += said
        confidences += sure
    spent = labeller.milliseconds(contents)
    return Judged(
        labels=labels,
        confidences=confidences,
        milliseconds=round(float(np.quantile(spent, LATENCY_QUANTILE)), 3) if spent else 0.0,
    )


def _summary(
    folder: RunFolder,
    found: Evaluation,
    trained: dict[str, TrainedVariant],
    chosen: str,
    champion: ModelFiles | None,
) -> Evaluated:
    return Evaluated(
        variant=chosen,
        inner_macro_f1={
            name: each.inner_macro_f1
            for name, each in trained.items()
            if each.inner_macro_f1 is not None
        },
        rows=len(found.truth),
        majority=quality(found.truth, [found.majority] * len(found.truth)),
        challenger=quality(found.truth, found.challenger.labels),
        challenger_milliseconds=found.challenger.milliseconds,
        champion_version=champion.version.version if champion else None,
        champion=quality(found.truth, found.champion.labels) if found.champion else None,
        champion_milliseconds=found.champion.milliseconds if found.champion else None,
        note=_note(folder, champion),
    )


def _note(folder: RunFolder, champion: ModelFiles | None) -> str | None:
    """A champion that was trained under another split may have learnt what is held out now."""
    if champion is None:
        return None
    split = folder.summary("prepare", Prepared).split
    before = champion.version.tags.get(HOLDOUT_TAG)
    if before == split or (before and split and "time" in before and before <= split):
        return None
    return (
        f"The champion was trained with {before or 'nothing known'} held out, this run holds out "
        f"{split}: it may have learnt rows that it is judged on, which speaks for it."
    )
