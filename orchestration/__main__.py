"""``python -m orchestration``: samples, the pipeline, evaluation and figures from a terminal.

Exit codes: 0 done, 1 it cannot be done (the reason is on stderr), 2 the command is wrong,
75 it may work when tried again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from common.errors import PermanentError, TransientError
from orchestration.hyperparameters import DEFAULT
from orchestration.pipeline import (
    NAMED,
    STEPS,
    RunSpec,
    Window,
    begin,
    discard_staging,
    run_step,
    variants,
)
from orchestration.pipeline.spec import read_spec

FAILED = 1
TRY_AGAIN = 75
SAMPLE_FILES = 12
RUNS = Path(".carimbo/runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    wanted = _parser().parse_args(arguments)
    try:
        _run(wanted)
    except (PermanentError, TransientError) as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return TRY_AGAIN if isinstance(error, TransientError) else FAILED
    return 0


def _run(wanted: argparse.Namespace) -> None:
    match wanted.command:
        case "begin":
            run = begin(wanted.root, read_spec(wanted.spec), wanted.run_id)
            _print_summary({"folder": str(run.path), "variants": variants(run)})
        case "step":
            # MLflow talks to people on standard output, which here belongs to the caller's program.
            with redirect_stdout(sys.stderr):
                summary = run_step(wanted.run, wanted.name, wanted.variant)
            _print_summary(summary)
        case "discard":
            discard_staging(wanted.run)
            _print_summary({})
        case _:
            _tell(wanted)


def _print_summary(summary: dict[str, Any]) -> None:
    """For programs: one line."""
    print(msgspec.json.encode(summary).decode())


def _tell(wanted: argparse.Namespace) -> None:
    """The commands that show progress; they alone load what trains."""
    from orchestration import commands  # noqa: PLC0415 - a step in a pod starts without it

    started = perf_counter()

    def say(line: str) -> None:
        print(f"[{perf_counter() - started:6.1f} s] {line}", flush=True)

    match wanted.command:
        case "samples":
            commands.make_samples(wanted.contract, wanted.out, wanted.files, wanted.seed, say)
        case "train":
            if wanted.tracking_uri:
                os.environ["MLFLOW_TRACKING_URI"] = wanted.tracking_uri
            commands.train_families(_specs(wanted), wanted.run, say)
        case "evaluate":
            commands.evaluate_families(wanted.contract, wanted.data, say)
        case _:
            commands.print_figures(wanted.data_root, say)


def _specs(wanted: argparse.Namespace) -> list[RunSpec]:
    from orchestration.commands import spec_of  # noqa: PLC0415 - as above

    options = {
        "window": Window(start=wanted.since, end=wanted.until),
        "promote": not wanted.no_promote,
        "register": not wanted.no_register,
        "track": not wanted.no_register,
        "seed": wanted.seed,
        "feedback": wanted.feedback,
        "holdout_from": wanted.holdout_from,
    }
    return [spec_of(family, wanted.data, wanted.variants, options) for family in wanted.contract]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True)
    samples = command.add_parser("samples", help="write sample files to OUT/<contract>/")
    _add_contract(samples)
    samples.add_argument("--out", type=Path, required=True)
    samples.add_argument("--files", type=_positive, default=SAMPLE_FILES)
    samples.add_argument("--seed", type=int, default=DEFAULT.seed)
    _add_train(command.add_parser("train", help="train, judge, register and promote or not"))
    _add_steps(command)
    evaluate = command.add_parser("evaluate", help="print the figures on held-out files")
    _add_contract(evaluate)
    evaluate.add_argument(
        "--data", type=Path, required=True, help="a folder of labelled files, or one a contract"
    )
    figures = command.add_parser("figures", help="evaluate every contract on real files")
    figures.add_argument("--data-root", type=Path, required=True, help="a folder of folders")
    return parser


def _add_train(train: argparse.ArgumentParser) -> None:
    _add_contract(train)
    train.add_argument(
        "--data",
        required=True,
        help="a folder of labelled files, or one a contract, or s3://bucket/prefix",
    )
    train.add_argument("--feedback", help="a folder or s3://bucket/prefix of *.ndjson")
    train.add_argument(
        "--variants",
        nargs="+",
        default=["default"],
        metavar="VARIANT",
        help=f"any of: {', '.join(NAMED)}; or one YAML file",
    )
    train.add_argument("--since", type=_day, help="first day of the rows to use, YYYY-MM-DD")
    train.add_argument("--until", type=_day, help="last day of the rows to use")
    train.add_argument(
        "--holdout-from", type=_day, help="first day to hold out of a family split by time"
    )
    train.add_argument("--seed", type=int, default=DEFAULT.seed)
    train.add_argument("--run", type=Path, default=RUNS, help=f"where runs are kept ({RUNS})")
    train.add_argument("--tracking-uri", help="MLflow server; default: MLFLOW_TRACKING_URI")
    train.add_argument("--no-promote", action="store_true", help="register, whatever the gate says")
    train.add_argument("--no-register", action="store_true", help="leave MLflow alone")


def _add_steps(command: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    starting = command.add_parser("begin", help="make a run's folder, print it and its variants")
    starting.add_argument("--root", type=Path, required=True)
    starting.add_argument("--run-id", required=True)
    starting.add_argument("--spec", required=True, help="JSON of orchestration.pipeline.RunSpec")
    step = command.add_parser("step", help="run one step and print its summary as JSON")
    step.add_argument("name", choices=STEPS)
    step.add_argument("--run", type=Path, required=True, help="the run's folder")
    step.add_argument("--variant", help="of train")
    discard = command.add_parser("discard", help="remove a run's copied data at its end")
    discard.add_argument("--run", type=Path, required=True, help="the run's folder")


def _add_contract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contract",
        nargs="+",
        required=True,
        metavar="CONTRACT",
        help="families, of those that ship or of CARIMBO_CONTRACTS",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2024-02-29") from error


if __name__ == "__main__":
    sys.exit(main())
