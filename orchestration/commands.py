"""What each command does; how its words are parsed is ``__main__``'s business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from common.contracts import Contract, shipped_contracts
from common.errors import PermanentError
from orchestration.evaluation import Figures, answer, figures
from orchestration.extraction import Extraction, extract
from orchestration.figures import find_data, judge, render
from orchestration.samples import generate, shipped_profile
from orchestration.splits import hold_out
from orchestration.training import DEFAULT, Trained, train

Say = Callable[[str], None]


def make_samples(families: Sequence[str], out: Path, files: int, seed: int, say: Say) -> None:
    """Write sample files to ``out/<family>/``."""
    for contract in _contracts(families):
        folder = out / contract.family
        folder.mkdir(parents=True, exist_ok=True)
        made = generate(contract, shipped_profile(contract.family), files=files, seed=seed)
        for sample in made:
            (folder / sample.name).write_bytes(sample.content)
        rows = sum(sample.rows for sample in made)
        say(f"{contract.family}: {len(made)} files, {rows} rows in {folder}")


def train_families(families: Sequence[str], data: Path, tracking_uri: str | None, say: Say) -> None:
    """Train, judge and, unless ``tracking_uri`` is None, register a champion of each family.

    The figures are of a model that never saw the held-out part; the model that is registered has
    then learnt from all rows.
    """
    for contract in _contracts(families):
        extraction = _extract(contract, data, say)
        found = _judge_held_out(contract, extraction, say)
        say(f"{contract.family}: training on all {extraction.rows} rows")
        trained = train(contract, extraction.files)
        _say_trained(contract, trained, say)
        if tracking_uri is None:
            continue
        say(f"{contract.family}: registering with {tracking_uri}")
        from orchestration.registration import CHAMPION, register  # noqa: PLC0415 - takes 5 s

        made = register(contract, trained, _metrics(found, extraction), tracking_uri)
        say(f"{contract.family}: version {made.version} is the {CHAMPION}")


def evaluate_families(families: Sequence[str], data: Path, say: Say) -> None:
    """Train on one part and print the figures on the other, as each contract's ``split`` says."""
    for contract in _contracts(families):
        say(render(judge(contract, _extract(contract, data, say), say)))


def print_figures(root: Path, say: Say) -> None:
    """Evaluate every shipped contract on the folder under ``root`` that holds its files."""
    contracts = shipped_contracts()
    data = find_data(contracts, root)
    reports = [judge(contracts[family], extraction, say) for family, extraction in data.items()]
    for report in reports:
        say(render(report))


def _contracts(families: Sequence[str]) -> list[Contract]:
    shipped = shipped_contracts()
    unknown = [family for family in families if family not in shipped]
    if unknown:
        raise PermanentError(
            "unknown-contract",
            f"There is no contract {', '.join(unknown)}; these exist: {', '.join(shipped)}.",
        )
    return [shipped[family] for family in families]


def _extract(contract: Contract, data: Path, say: Say) -> Extraction:
    own = data / contract.family
    folder = own if own.is_dir() else data
    say(f"{contract.family}: reading {folder}")
    found = extract(contract, folder)
    rejected = f"; violations: {_counts(found.violations)}" if found.violations else ""
    say(
        f"{contract.family}: {len(found.files)} files, {found.rows} labelled rows of "
        f"{found.rows_read}{rejected}"
    )
    for name, reason in found.unread.items():
        say(f"{contract.family}: {name} left out: {reason}")
    return found


def _judge_held_out(contract: Contract, extraction: Extraction, say: Say) -> Figures:
    started = perf_counter()
    parts = hold_out(contract, extraction.files, DEFAULT.seed)
    found = figures(answer(train(contract, parts.train), parts.test))
    say(
        f"{contract.family}: on {found.rows} rows held out by {parts.kind}: "
        f"accuracy {found.accuracy:.3f} (majority {found.majority_accuracy:.3f}), "
        f"macro-F1 {found.macro_f1:.3f} (majority {found.majority_macro_f1:.3f}), "
        f"{perf_counter() - started:.1f} s"
    )
    return found


def _say_trained(contract: Contract, trained: Trained, say: Say) -> None:
    seconds = trained.features_seconds + trained.boosting_seconds
    say(
        f"{contract.family}: {len(trained.label_counts)} labels, {trained.booster.num_trees()} "
        f"trees, model {len(trained.model)} bytes, encoders {len(trained.encoder_bytes)} bytes, "
        f"{seconds:.1f} s"
    )
    if trained.left_out:
        say(f"{contract.family}: labels too rare to learn: {_counts(trained.left_out)}")


def _metrics(found: Figures, extraction: Extraction) -> dict[str, float]:
    held_out = {f"held_out_{name}": float(value) for name, value in _figures(found).items()}
    return held_out | {
        "training_rows": float(extraction.rows),
        "training_files": float(len(extraction.files)),
    }


def _figures(found: Figures) -> Mapping[str, float]:
    return msgspec.structs.asdict(found)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
