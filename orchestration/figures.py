"""The training figures of every shipped contract on a folder of real files, by one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import msgspec

from common.contracts import Contract, Split
from common.errors import PermanentError
from orchestration.evaluation import COMMON_LABEL_ROWS, Answers, Figures, answer, figures, pool
from orchestration.extraction import Extraction, extract
from orchestration.splits import Parts, folds, hold_out
from orchestration.training import DEFAULT, train

FOLDS = 9
Say = Callable[[str], None]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One family's figures, and what they cost. ``model_bytes`` are of the last model trained."""

    family: str
    files: int
    rows_read: int
    rows: int
    split: str
    models: int
    train_seconds: float
    model_bytes: int
    encoder_bytes: int
    left_out: Mapping[str, int]
    figures: Figures


def judge(contract: Contract, extraction: Extraction, say: Say) -> Report:
    """Train on one part and judge on the other, as the contract's ``split`` says.

    By group: grouped k-fold, every group held out once. By time: the latest files held out.
    """
    if contract.split is Split.GROUP:
        parts = list(folds(contract, extraction.files, FOLDS, DEFAULT.seed))
    else:
        parts = [hold_out(contract, extraction.files)]
    answers: list[Answers] = []
    seconds = 0.0
    sizes = (0, 0)
    left_out: dict[str, int] = {}
    for part in parts:
        started = perf_counter()
        trained = train(contract, part.train)
        seconds += perf_counter() - started
        sizes = (len(trained.model), len(trained.encoder_bytes))
        left_out = left_out | trained.left_out
        answers.append(answer(trained, part.test))
        say(f"{contract.family}: judged {_judged(part)} ({len(answers)} of {len(parts)})")
    return Report(
        family=contract.family,
        files=len(extraction.files),
        rows_read=extraction.rows_read,
        rows=extraction.rows,
        split=parts[0].kind,
        models=len(parts),
        train_seconds=seconds / len(parts),
        model_bytes=sizes[0],
        encoder_bytes=sizes[1],
        left_out=left_out,
        figures=figures(pool(answers)),
    )


def find_data(contracts: Mapping[str, Contract], root: Path) -> dict[str, Extraction]:
    """By family, the folder directly under ``root`` in which its contract reads the most rows.

    Raises:
        PermanentError: code "no-training-data" when no folder holds files of any contract.
    """
    found: dict[str, Extraction] = {}
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    for family, contract in sorted(contracts.items()):
        for folder in folders:
            try:
                extraction = extract(contract, folder)
            except PermanentError:
                continue  # A folder of some other family, or of none.
            if family not in found or extraction.rows > found[family].rows:
                found[family] = extraction
    if not found:
        raise PermanentError(
            "no-training-data",
            f"No folder under {root} holds labelled files of any of: {', '.join(contracts)}.",
        )
    return found


def render(report: Report) -> str:
    """A report for a terminal."""
    found = report.figures
    left_out = f"{len(report.left_out)} ({sum(report.left_out.values())} rows)"
    sizes = (
        f"model.lgb {report.model_bytes / 1e6:.2f} MB, "
        f"encoders.json {report.encoder_bytes / 1e6:.2f} MB"
    )
    lines = {
        "rows": f"{report.files} files, {report.rows_read} read, {report.rows} labelled",
        "judged": f"{found.rows} rows of {found.labels} labels, {report.models} model(s)",
        "split by": report.split,
        "accuracy": f"{found.accuracy:.3f}   (majority {found.majority_accuracy:.3f})",
        "macro-F1": f"{found.macro_f1:.3f}   (majority {found.majority_macro_f1:.3f})",
        "of common labels": f"{found.macro_f1_common:.3f}   ({COMMON_LABEL_ROWS} rows or more)",
        "labels too rare": left_out,
        "training": f"{report.train_seconds:.1f} s a model; {sizes}",
        "features": f"{found.features_us:.1f} us a row",
        "predict": f"{found.predict_us:.1f} us a row, one thread",
    }
    return "\n".join([report.family, *(f"  {name:<17}{value}" for name, value in lines.items())])


def _judged(part: Parts) -> str:
    return f"{sum(len(file.labels) for file in part.test)} rows in {len(part.test)} file(s)"
