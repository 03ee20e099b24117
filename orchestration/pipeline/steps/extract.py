"""Takes a copy of the labelled files and of the feedback, so that the run's data stands still."""

from __future__ import annotations

import msgspec

from orchestration.extraction import is_data
from orchestration.pipeline.folder import RunFolder, digest_of
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.sources import copy_in

DATA = "data"
FEEDBACK = "feedback"


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied. ``data_digest`` is over every file's name and content."""

    files: int
    feedback_files: int
    data_digest: str


def run(folder: RunFolder) -> Outcome:
    """Copy the data and the feedback into the run's folder.

    Raises:
        PermanentError: code "no-training-data" when a place does not exist.
        TransientError: the object store is away.
    """
    spec = folder.spec
    data = [f"{DATA}/{name}" for name in copy_in(spec.data, folder.path / DATA, is_data)]
    feedback: list[str] = []
    if spec.feedback is not None:
        found = copy_in(
            spec.feedback, folder.path / FEEDBACK, lambda name: name.endswith(".ndjson")
        )
        feedback = [f"{FEEDBACK}/{name}" for name in found]
    files = [*data, *feedback]
    return Outcome(
        Extracted(
            files=len(data),
            feedback_files=len(feedback),
            data_digest=digest_of(folder.digests(files)),
        ),
        files,
    )
