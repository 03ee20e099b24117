"""Makes the chosen variant a version of the registered model, its card and figures with it."""

from __future__ import annotations

import msgspec

from common.registry import ENCODERS_FILE, MODEL_FILE, Tag
from orchestration.code_version import code_version
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.steps.evaluate import Evaluated
from orchestration.pipeline.steps.extract import Extracted
from orchestration.pipeline.steps.gate import Gated
from orchestration.pipeline.steps.prepare import Prepared
from orchestration.pipeline.steps.train import TrainedVariant, model_place
from orchestration.pipeline.tags import HOLDOUT_TAG
from orchestration.settings import Settings
from orchestration.submission import Submission

PROMOTED, KEPT = "promoted", "kept"


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """``version`` is None when nothing was to be registered, ``mlflow_run`` when nothing logged."""

    model: str
    version: str | None
    mlflow_run: str | None


def run(folder: RunFolder) -> Outcome:
    """Register, log, or leave MLflow alone, as the run's specification says.

    Raises:
        PermanentError: code "bad-tracking-uri".
        TransientError: MLflow is away; the step may be run again.
    """
    family, uri = folder.spec.family, Settings().mlflow_tracking_uri
    if not folder.spec.uses_registry:
        return Outcome(Registered(model=family, version=None, mlflow_run=None), [])
    from orchestration.registration import register, track  # noqa: PLC0415 - takes five seconds

    submission = _submission(folder)
    if not folder.spec.register:
        logged = track(submission, uri)
        return Outcome(Registered(model=family, version=None, mlflow_run=logged), [])
    made = register(submission, uri)
    return Outcome(Registered(model=family, version=made.version, mlflow_run=made.run_id), [])


def _submission(folder: RunFolder) -> Submission:
    evaluated = folder.summary("evaluate", Evaluated)
    prepared = folder.summary("prepare", Prepared)
    gated = folder.summary("gate", Gated)
    trained = folder.summary("train", TrainedVariant, evaluated.variant)
    place = folder.path / model_place(evaluated.variant)
    card = folder.record("gate")
    quality, majority = evaluated.challenger, evaluated.majority
    is_promoted = folder.spec.promote and folder.spec.register and gated.promote
    return Submission(
        contract=folder.contract,
        model=(place / MODEL_FILE).read_bytes(),
        encoders=(place / ENCODERS_FILE).read_bytes(),
        run_id=folder.run_id,
        parameters={
            "variant": evaluated.variant,
            "data": folder.spec.data,
            **msgspec.structs.asdict(trained.settings),
        },
        metrics={
            "held_out_macro_f1": quality.macro_f1,
            "held_out_accuracy": quality.accuracy,
            "held_out_majority_macro_f1": majority.macro_f1,
            "held_out_majority_accuracy": majority.accuracy,
            "held_out_rows": float(evaluated.rows),
            "milliseconds_200_rows": evaluated.challenger_milliseconds,
            "training_rows": float(prepared.train_rows),
            "training_files": float(prepared.train_files),
        },
        artifacts={
            name: (folder.path / name).read_bytes() for name in (card.outputs if card else ())
        },
        tags={
            Tag.DATA.value: folder.summary("extract", Extracted).data_digest,
            Tag.CODE.value: code_version(),
            Tag.MACRO_F1.value: f"{quality.macro_f1:.4f}",
            Tag.MAJORITY.value: f"{majority.macro_f1:.4f}",
            Tag.VERDICT.value: PROMOTED if is_promoted else KEPT,
            HOLDOUT_TAG: prepared.split,
        },
    )
