"""Says whether the files are fit to learn from, before anything is learnt."""

from __future__ import annotations

from collections import Counter

import msgspec

from common.errors import PermanentError
from orchestration.extraction import Extraction, extract
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.steps.extract import DATA

REJECTED_SHARE = 0.5
UNREAD_SHARE = 0.5
FEWEST_LABELS = 2


class Validated(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold. ``violations`` counts cells by code, ``unread`` is a reason a file."""

    files: int
    rows_read: int
    labelled: int
    unlabelled: int
    labels: int
    violations: dict[str, int]
    unread: dict[str, str]


def run(folder: RunFolder) -> Outcome:
    """Read every file under the contract.

    Raises:
        PermanentError: "no-training-data", or "unfit-data" when most files or rows cannot be read,
            or all rows carry one label.
    """
    found = extract(folder.contract, folder.path / DATA)
    labels = Counter(label for file in found.files for label in file.labels)
    reason = _unfit(found, len(labels))
    if reason is not None:
        raise PermanentError(
            "unfit-data",
            f"The files of {folder.spec.data} are not fit to train {folder.spec.family}: {reason}. "
            "Check that they are of this family, or mend its contract.",
        )
    return Outcome(
        Validated(
            files=len(found.files),
            rows_read=found.rows_read,
            labelled=found.rows,
            unlabelled=found.unlabelled,
            labels=len(labels),
            violations=found.violations,
            unread=found.unread,
        ),
        [],
    )


def _unfit(found: Extraction, labels: int) -> str | None:
    files = found.files_read + len(found.unread)
    rejected = found.rows_read - found.rows - found.unlabelled
    if len(found.unread) > files * UNREAD_SHARE:
        reasons = "; ".join(sorted(set(found.unread.values()))[:3])
        return f"{len(found.unread)} of {files} files cannot be read ({reasons})"
    if rejected > found.rows_read * REJECTED_SHARE:
        codes = ", ".join(f"{code} {count}" for code, count in found.violations.items())
        return f"{rejected} of {found.rows_read} rows are rejected ({codes})"
    if labels < FEWEST_LABELS:
        return f"all {found.rows} labelled rows carry the same label"
    return None
