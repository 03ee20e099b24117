"""What each command does; how its words are parsed is ``__main__``'s business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from common.contracts import Contract, known_contracts
from common.errors import PermanentError
from orchestration.extraction import Extraction, extract
from orchestration.figures import find_data, judge, render
from orchestration.pipeline import NAMED, STEPS, RunSpec, Variant, begin, run_step, variants
from orchestration.pipeline.folder import RunFolder
from orchestration.samples import generate, shipped_profile
from orchestration.settings import Settings

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


def train_families(specs: Sequence[RunSpec], runs: Path, say: Say) -> None:
    """Take every family through the whole pipeline, each in a run's folder of its own."""
    for spec in specs:
        run_id = f"{spec.family}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        train_whole(begin(runs, spec, run_id), say)


def train_whole(run: RunFolder, say: Say) -> None:
    """Go through every step of a run and say what each found; what is done is not done again."""
    for step in STEPS:
        for variant in variants(run) if step == "train" else [None]:
            found = run_step(run, step, variant)
            again = ", as before" if found["skipped"] else f", {found['seconds']:.1f} s"
            said = " ".join(filter(None, (run.spec.family + ":", step, variant)))
            say(f"{said}: {_SAYINGS[step](found)}{again}")
    say(f"{run.spec.family}: model card in {run.path / 'card'}")


def spec_of(family: str, data: str, named: Sequence[str], options: Mapping[str, Any]) -> RunSpec:
    """What a run of ``family`` is asked to do; ``data/<family>`` is preferred where it exists."""
    own = Path(data) / family
    place = str(own) if "://" not in data and own.is_dir() else data
    return RunSpec(family=family, data=place, variants=read_variants(named), **options)


def read_variants(named: Sequence[str]) -> tuple[Variant, ...]:
    """The variants of those names, or of one YAML file: a list of ``name`` and ``settings``.

    Raises:
        PermanentError: code "unknown-variant", or "bad-variants" when the file cannot be used.
    """
    if len(named) == 1 and (file := Path(named[0])).suffix in {".yaml", ".yml", ".json"}:
        try:
            found = yaml.safe_load(file.read_text("utf-8"))
            return msgspec.convert(found, tuple[Variant, ...])
        except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
            raise PermanentError(
                "bad-variants",
                f"{file} is no list of variants: {error}. Expected, for each, a name and settings "
                "such as {name: small, settings: {rounds: 10}}.",
            ) from error
    unknown = [name for name in named if name not in NAMED]
    if unknown:
        raise PermanentError(
            "unknown-variant",
            f"There is no variant {', '.join(unknown)}; these have names: {', '.join(NAMED)}. "
            "Others come from a YAML file.",
        )
    return tuple(NAMED[name] for name in named)


def evaluate_families(families: Sequence[str], data: Path, say: Say) -> None:
    """Train on one part and print the figures on the other, as each contract's ``split`` says."""
    for contract in _contracts(families):
        say(render(judge(contract, _extract(contract, data, say), say)))


def print_figures(root: Path, say: Say) -> None:
    """Evaluate every known contract on the folder under ``root`` that holds its files."""
    contracts = known_contracts(Settings().contracts)
    data = find_data(contracts, root)
    reports = [judge(contracts[family], extraction, say) for family, extraction in data.items()]
    for report in reports:
        say(render(report))


def _contracts(families: Sequence[str]) -> list[Contract]:
    known = known_contracts(Settings().contracts)
    unknown = [family for family in families if family not in known]
    if unknown:
        raise PermanentError(
            "unknown-contract",
            f"There is no contract {', '.join(unknown)}; these exist: {', '.join(known)}. "
            "CARIMBO_CONTRACTS names a folder of further ones.",
        )
    return [known[family] for family in families]


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


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _say_extracted(found: Mapping[str, Any]) -> str:
    feedback = f", {found['feedback_files']} of feedback" if found["feedback_files"] else ""
    return f"{found['files']} files{feedback}, digest {found['data_digest'][:12]}"


def _say_validated(found: Mapping[str, Any]) -> str:
    rejected = f"; violations: {_counts(found['violations'])}" if found["violations"] else ""
    unread = "".join(f"; {name} left out: {why}" for name, why in found["unread"].items())
    return (
        f"{found['labelled']} labelled rows of {found['rows_read']}, {found['labels']} labels"
        f"{rejected}{unread}"
    )


def _say_prepared(found: Mapping[str, Any]) -> str:
    corrected, added = found["corrected_rows"], found["feedback_rows"]
    feedback = f"; feedback corrects {corrected} rows, adds {added}" if corrected + added else ""
    return (
        f"{found['train_rows']} rows to learn, {found['holdout_rows']} held out by "
        f"{found['split']}{feedback}"
    )


def _say_trained(found: Mapping[str, Any]) -> str:
    rare = found["left_out"]
    left_out = f"; too rare to learn: {_counts(rare)}" if rare else ""
    inner = found["inner_macro_f1"]
    chosen_by = "" if inner is None else f", inner macro-F1 {inner:.3f}"
    return (
        f"{len(found['label_counts'])} labels, {found['trees']} trees, "
        f"{(found['model_bytes'] + found['encoder_bytes']) / 1e6:.2f} MB{chosen_by}{left_out}"
    )


def _say_evaluated(found: Mapping[str, Any]) -> str:
    champion = found["champion"]
    beside = (
        f"champion (version {found['champion_version']}) {champion['macro_f1']:.3f}, "
        if champion
        else ""
    )
    note = f" ({found['note']})" if found["note"] else ""
    return (
        f"{found['variant']} on {found['rows']} held-out rows: macro-F1 "
        f"{found['challenger']['macro_f1']:.3f} ({beside}majority "
        f"{found['majority']['macro_f1']:.3f}), accuracy {found['challenger']['accuracy']:.3f} "
        f"(majority {found['majority']['accuracy']:.3f}){note}"
    )


def _say_gated(found: Mapping[str, Any]) -> str:
    lines = [
        f"\n    {'pass' if check['passed'] else 'FAIL'}  {check['name']}: {check['found']} "
        f"(required: {check['required']})"
        for check in found["verdict"]["checks"]
    ]
    return f"{'promote' if found['promote'] else 'keep the champion'}{''.join(lines)}\n   "


def _say_registered(found: Mapping[str, Any]) -> str:
    if found["version"]:
        return f"version {found['version']} is the challenger"
    return "logged, nothing registered" if found["mlflow_run"] else "nothing registered"


def _say_promoted(found: Mapping[str, Any]) -> str:
    if not found["promoted"]:
        return f"champion kept: {found['reason']}"
    instead = f" instead of version {found['replaced']}" if found["replaced"] else ""
    return f"version {found['version']} is the champion{instead}"


_SAYINGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "extract": _say_extracted,
    "validate": _say_validated,
    "prepare": _say_prepared,
    "train": _say_trained,
    "evaluate": _say_evaluated,
    "gate": _say_gated,
    "register": _say_registered,
    "promote": _say_promoted,
}
