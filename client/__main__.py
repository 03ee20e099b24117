"""The ``carimbo`` command: run the system here, label a file, choose versions, show a trace."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec

from client.airflow import add_airflow
from client.api import DEFAULT_URL, Client, ServiceError
from client.callbacks import add_callbacks
from client.dead_letters import add_dead_letters
from client.errors import CommandError
from client.local.run import Options, run
from client.local.running import find_running
from client.local.spans import Span
from client.models import add_models
from client.screen import labels_table, make_console, stages_table, trace_tree
from client.settings import state_folder

SINK_TIMEOUT_SECONDS = 5.0
HIGHEST_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says whether it did what was asked."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (CommandError, ServiceError) as error:
        print(f"carimbo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    run(
        Options(
            port=options.port,
            producers=options.producers,
            consumers=options.consumers,
            once=options.once,
        )
    )


def _predict(options: argparse.Namespace) -> None:
    content = _read(options.file)
    with Client(options.url) as client:
        prediction = client.predict(
            content,
            model=options.model,
            file_name=options.file.name,
            version=options.version,
            alias=options.alias,
            is_strict=options.strict,
        )
    if options.json:
        print(msgspec.json.encode(prediction).decode())
        return
    console = make_console()
    console.print(labels_table(prediction, shown=len(prediction.rows)))
    console.print(stages_table(prediction.stages))


def _trace(options: argparse.Namespace) -> None:
    url = f"{find_running(state_folder()).traces}/traces"
    with httpx.Client(timeout=SINK_TIMEOUT_SECONDS, trust_env=False) as sink:
        newest = msgspec.json.decode(sink.get(url).content, type=list[str])
        trace_id = options.id or next(iter(newest), "none yet")
        spans = msgspec.json.decode(sink.get(f"{url}/{trace_id}").content, type=list[Span])
    if not spans:
        raise CommandError(
            f"No trace {trace_id!r} is kept; only the newest are. The newest: "
            f"{', '.join(newest) or 'none yet, label a file first'}"
        )
    make_console().print(trace_tree(trace_id, spans))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="carimbo", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    local = commands.add_parser("run", help="start the whole system here and keep serving")
    local.add_argument("--port", type=_port, default=8000, help="first producer's port (8000)")
    local.add_argument("--producers", type=_count, default=1, help="HTTP replicas (1)")
    local.add_argument("--consumers", type=_count, default=1, help="workers (1)")
    local.add_argument("--once", action="store_true", help="stop after the sample")
    local.set_defaults(command=_run)

    predict = commands.add_parser("predict", help="label a file's rows")
    predict.add_argument("file", type=Path)
    predict.add_argument("--model", required=True, help="a name that `carimbo models` lists")
    which = predict.add_mutually_exclusive_group()
    which.add_argument("--version", help="an exact version instead of the champion")
    which.add_argument("--alias", help="another alias instead of the champion")
    predict.add_argument("--strict", action="store_true", help="refuse a file with a bad row")
    predict.add_argument("--json", action="store_true", help="the whole answer, for programs")
    _add_url(predict)
    predict.set_defaults(command=_predict)

    trace = commands.add_parser("trace", help="show a trace of the local system as a tree")
    trace.add_argument("id", nargs="?", help="a trace id; the newest when left out")
    trace.set_defaults(command=_trace)

    add_models(commands)
    add_dead_letters(commands)
    add_callbacks(commands)
    add_airflow(commands)
    return parser


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the service ({DEFAULT_URL})")


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{port} is not a port; expected 1 to {HIGHEST_PORT}")
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())
