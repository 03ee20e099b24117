"""What a client receives for a file, the same at once, later by its id, or by callback."""

from __future__ import annotations

import msgspec

from common.messages import Completed, Failed, Violation


class Counts(msgspec.Struct, frozen=True):
    """Rows of the file: ``rows_read`` is always ``labelled`` + ``rejected``."""

    rows_read: int
    labelled: int
    rejected: int


class LabelledRow(msgspec.Struct, frozen=True):
    """One good row. ``line`` counts the file's lines from 1; ``confidence`` is in [0, 1]."""

    line: int
    label: str
    confidence: float


class PredictionAnswer(msgspec.Struct, frozen=True):
    """A labelled file: its good rows with labels, and what was wrong with the others.

    ``version`` is the exact model version that labelled it. ``dialect`` says how the file was
    read: format, packing, encoding, delimiter, decimal mark and header line, where they apply.
    """

    id: str
    model: str
    version: str
    counts: Counts
    dialect: dict[str, str | int | None]
    rows: list[LabelledRow]
    violations: list[Violation]


class FailureAnswer(msgspec.Struct, frozen=True):
    """A file that was accepted and could not be labelled. ``code`` is a ``FailureCode`` value."""

    id: str
    model: str
    code: str
    message: str


def answer_of(completed: Completed) -> PredictionAnswer:
    """The answer that ``completed`` becomes."""
    labelled = len(completed.lines)
    return PredictionAnswer(
        id=completed.prediction_id,
        model=completed.model,
        version=completed.version,
        counts=Counts(completed.rows_read, labelled, completed.rows_read - labelled),
        dialect=completed.dialect,
        rows=[
            LabelledRow(*row)
            for row in zip(completed.lines, completed.labels, completed.confidences, strict=True)
        ],
        violations=completed.violations,
    )


def failure_of(failed: Failed) -> FailureAnswer:
    """The answer that ``failed`` becomes."""
    return FailureAnswer(
        id=failed.prediction_id, model=failed.model, code=failed.code, message=failed.message
    )
