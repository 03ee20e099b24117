"""Which step comes after which, and whether one has to be run at all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from common.contracts import known_contracts
from common.errors import PermanentError
from orchestration.pipeline import folder as folders
from orchestration.pipeline.folder import Record, RunFolder, digest_of, now
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.spec import RunSpec
from orchestration.settings import Settings

STEPS = ("extract", "validate", "prepare", "train", "evaluate", "gate", "register", "promote")
"""In order. ``train`` is run once a variant."""

TRAIN = "train"
_NEEDS: dict[str, tuple[str, ...]] = {
    "extract": (),
    "validate": ("extract",),
    "prepare": ("extract", "validate"),
    "train": ("prepare",),
    "evaluate": ("extract", "prepare", "train"),
    "gate": ("evaluate",),
    "register": ("prepare", "train", "evaluate", "gate"),
    "promote": ("gate", "register"),
}


def begin(root: Path, spec: RunSpec, run_id: str) -> RunFolder:
    """Make the folder ``root/run_id``; a run that exists goes on where it was.

    Raises:
        PermanentError: "unknown-contract", or what ``folder.begin`` says.
    """
    contracts = known_contracts(Settings().contracts)
    if spec.family not in contracts:
        raise PermanentError(
            "unknown-contract",
            f"There is no contract {spec.family}; these exist: {', '.join(contracts)}. "
            "CARIMBO_CONTRACTS names a folder of further ones.",
        )
    return folders.begin(root, spec, run_id, contracts[spec.family])


def variants(folder: Path | RunFolder) -> list[str]:
    """The names that ``train`` is run with."""
    return [variant.name for variant in _opened(folder).spec.variants]


def run_step(folder: Path | RunFolder, step: str, variant: str | None = None) -> dict[str, Any]:
    """Run a step unless its record says that it is done; return a small JSON-able summary.

    The summary names the ``run_id``, the ``step`` and the ``variant``, tells by ``skipped`` that
    there was nothing to do, and holds what the step found.

    Raises:
        PermanentError: the step cannot be done, or another must be run before it.
        TransientError: the step may succeed when it is run again.
    """
    run = _opened(folder)
    _check(step, variant)
    if variant is not None:
        run.variant(variant)
    inputs = _inputs(run, step, variant)
    found = run.record(step, variant)
    if found is not None and found.inputs == inputs and run.holds(found.outputs):
        return _told(run, found, skipped=True)
    started = perf_counter()
    outcome = _function(step)(run) if variant is None else _function(step)(run, variant)
    record = Record(
        step=step,
        variant=variant,
        inputs=inputs,
        outputs=run.digests(outcome.files),
        summary=msgspec.json.decode(msgspec.json.encode(outcome.summary)),
        seconds=round(perf_counter() - started, 3),
        finished=now(),
    )
    run.keep(record)
    return _told(run, record, skipped=False)


def discard_staging(folder: Path | RunFolder) -> None:
    """Remove the run's copied data; records, models and the card stay."""
    _opened(folder).discard_staging()


def _opened(folder: Path | RunFolder) -> RunFolder:
    return folder if isinstance(folder, RunFolder) else RunFolder(folder)


def _check(step: str, variant: str | None) -> None:
    if step not in STEPS:
        raise PermanentError(
            "unknown-step", f"There is no step {step!r}; the steps are {', '.join(STEPS)}."
        )
    if (step == TRAIN) != (variant is not None):
        raise PermanentError(
            "bad-variant", f"{TRAIN} needs the name of a variant, and no other step takes one."
        )


def _inputs(run: RunFolder, step: str, variant: str | None) -> dict[str, str]:
    """By name: the digest of what was asked, and of the record of every step before."""
    own = run.variant(variant) if variant is not None else None
    inputs = {"run": digest_of([run.run_id, run.spec, own]), "contract": run.contract_digest}
    for needed in _NEEDS[step]:
        for each in variants(run) if needed == TRAIN else [None]:
            name = needed if each is None else f"{needed}-{each}"
            record = run.record(needed, each)
            if record is None:
                raise PermanentError(
                    "step-out-of-order",
                    f"{step} of run {run.run_id} needs what {name} finds: run that step first.",
                )
            inputs[name] = record.digest
    return inputs


def _function(step: str) -> Callable[..., Outcome]:
    """The step's own module: a step that needs MLflow must not slow down the others."""
    found: Callable[..., Outcome] = import_module(f"orchestration.pipeline.steps.{step}").run
    return found


def _told(run: RunFolder, record: Record, *, skipped: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"run_id": run.run_id, "step": record.step, "skipped": skipped}
    if record.variant is not None:
        about["variant"] = record.variant
    return {**about, "seconds": record.seconds, **record.summary}
