"""Takes the window, lays feedback over the labels, and freezes what is held out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from common.errors import PermanentError
from orchestration.extraction import TrainingFile, extract
from orchestration.feedback import Corrected, correct, read_feedback
from orchestration.pipeline import prepared
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.spec import Window
from orchestration.pipeline.steps.extract import DATA, FEEDBACK
from orchestration.splits import Holdout, days_of, divide, freeze, groups_of


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """The two sides, and what feedback did to them."""

    holdout: Holdout
    split: str
    train_files: int
    train_rows: int
    holdout_files: int
    holdout_rows: int
    holdout_groups: int
    corrected_rows: int
    feedback_rows: int
    unusable_feedback: int


def run(folder: RunFolder) -> Outcome:
    """Write the prepared rows of both sides.

    Raises:
        PermanentError: "no-training-data" when the window is empty, "bad-window" when the family
            has no time, "unusable-feedback", "cannot-split".
    """
    contract, spec = folder.contract, folder.spec
    files = _within(folder, extract(contract, folder.path / DATA).files, spec.window)
    records, unreadable = read_feedback((folder.path / FEEDBACK).glob("*.ndjson"), spec.family)
    corrected = correct(contract, files, records)
    holdout = freeze(contract, files, since=spec.holdout_from)
    parts = divide(contract, corrected.files, holdout)
    written = [f"prepared/{name}" for name in corrected.contents]
    for name, content in corrected.contents.items():
        folder.write(f"prepared/{name}", content)
    prepared.write_train(folder, parts.train)
    prepared.write_holdout(folder, contract, parts.test, _paths(files, corrected))
    groups = {group for file in parts.test for group in groups_of(contract, file)}
    return Outcome(
        Prepared(
            holdout=holdout,
            split=parts.kind,
            train_files=len(parts.train),
            train_rows=sum(len(file.labels) for file in parts.train),
            holdout_files=len(parts.test),
            holdout_rows=sum(len(file.labels) for file in parts.test),
            holdout_groups=len(groups),
            corrected_rows=corrected.replaced,
            feedback_rows=corrected.added,
            unusable_feedback=corrected.unusable + unreadable,
        ),
        [prepared.TRAIN, prepared.HOLDOUT, *written],
    )


def _within(folder: RunFolder, files: Sequence[TrainingFile], window: Window) -> list[TrainingFile]:
    if window == Window():
        return list(files)
    contract = folder.contract
    if contract.time is None:
        raise PermanentError(
            "bad-window",
            f"{contract.family} has no column of role time, so no window can be cut out of it.",
        )
    kept: list[TrainingFile] = []
    for file in files:
        days = days_of(contract, file)
        places = [
            at
            for at, day in enumerate(days)
            if (window.start is None or day >= window.start)
            and (window.end is None or day <= window.end)
        ]
        if places:
            kept.append(file.rows(places))
    if not kept:
        raise PermanentError(
            "no-training-data",
            f"No labelled row of {contract.family} is in the window from {window.start} to "
            f"{window.end}. Widen it.",
        )
    return kept


def _paths(files: Sequence[TrainingFile], corrected: Corrected) -> dict[str, str]:
    own = {file.name: f"{DATA}/{file.name}" for file in files}
    return own | {name: f"prepared/{name}" for name in corrected.contents}
