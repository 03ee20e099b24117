"""``python -m orchestration``: samples, training, evaluation and figures from a terminal.

Exit codes: 0 done, 1 it cannot be done (the reason is on stderr), 2 the command is wrong,
75 it may work when tried again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from common.contracts import shipped_contracts
from common.errors import PermanentError, TransientError
from orchestration import commands
from orchestration.settings import Settings
from orchestration.training import DEFAULT

FAILED = 1
TRY_AGAIN = 75
SAMPLE_FILES = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    wanted = _parser().parse_args(arguments)
    started = perf_counter()

    def say(line: str) -> None:
        print(f"[{perf_counter() - started:6.1f} s] {line}", flush=True)

    try:
        _run(wanted, say)
    except (PermanentError, TransientError) as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return TRY_AGAIN if isinstance(error, TransientError) else FAILED
    return 0


def _run(wanted: argparse.Namespace, say: commands.Say) -> None:
    match wanted.command:
        case "samples":
            commands.make_samples(wanted.contract, wanted.out, wanted.files, wanted.seed, say)
        case "train":
            tracking_uri = wanted.tracking_uri or Settings().mlflow_tracking_uri
            register = None if wanted.no_register else tracking_uri
            commands.train_families(wanted.contract, wanted.data, register, say)
        case "evaluate":
            commands.evaluate_families(wanted.contract, wanted.data, say)
        case _:
            commands.print_figures(wanted.data_root, say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True)
    samples = command.add_parser("samples", help="write sample files to OUT/<contract>/")
    _add_contract(samples)
    samples.add_argument("--out", type=Path, required=True)
    samples.add_argument("--files", type=_positive, default=SAMPLE_FILES)
    samples.add_argument("--seed", type=int, default=DEFAULT.seed)
    train = command.add_parser("train", help="train, judge and register a champion")
    _add_contract(train)
    _add_data(train)
    train.add_argument("--tracking-uri", help="MLflow server; default: MLFLOW_TRACKING_URI")
    train.add_argument("--no-register", action="store_true", help="keep the registry as it is")
    evaluate = command.add_parser("evaluate", help="print the figures on held-out files")
    _add_contract(evaluate)
    _add_data(evaluate)
    figures = command.add_parser("figures", help="evaluate every contract on real files")
    figures.add_argument("--data-root", type=Path, required=True, help="a folder of folders")
    return parser


def _add_contract(parser: argparse.ArgumentParser) -> None:
    families = ", ".join(shipped_contracts())
    parser.add_argument(
        "--contract", nargs="+", required=True, metavar="CONTRACT", help=f"any of: {families}"
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder of labelled files, or one a contract"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
