"""``carimbo run``: the whole system on this machine, without Docker, until somebody stops it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from client.api import Client, Prediction
from client.errors import CommandError
from client.local import training
from client.local.foreground import Progress, StopRequested, kill_on_signals, stop_on_signals
from client.local.readiness import require_free_port
from client.local.running import Running, announce, only_one
from client.local.services import callback_service, consumers, new_secret, producers
from client.local.sink import TraceSink, TraceStore
from client.local.spans import Span
from client.local.system import LocalSystem
from client.screen import labels_table, make_console, stages_table, trace_tree
from client.settings import state_folder
from common.contracts import shipped_contracts

WATCH_SECONDS = 0.5
TRACE_TIMEOUT_SECONDS = 5.0
TRACE_QUIET_SECONDS = 1.0
"""No span for this long, five export periods, means that the trace is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose. With ``once``, the system stops after the sample."""

    port: int
    producers: int
    consumers: int
    once: bool

    @property
    def api(self) -> str:
        """The first producer's address."""
        return f"http://127.0.0.1:{self.port}"


def run(options: Options) -> None:
    """Start, show, serve; return when asked to stop, with every process gone.

    Raises:
        CommandError: the system could not start, or could not go on.
    """
    console = make_console()
    state = state_folder()
    with only_one(state), TraceSink() as sink:
        for number in range(options.producers):
            require_free_port(options.port + number)
        system = LocalSystem(state, traces=sink.url, say=Progress(console).say)
        try:
            with stop_on_signals():
                _serve(options, system, sink, console, state)
        except StopRequested:
            console.print("stopping (once more: at once)")
        finally:
            with kill_on_signals(system.kill):
                system.stop()
    console.print("stopped")


def _serve(
    options: Options, system: LocalSystem, sink: TraceSink, console: Console, state: Path
) -> None:
    families = sorted(shipped_contracts())
    samples = state / "samples"
    system.start_foundations()
    _train_what_is_missing(system, families, samples)
    secret = new_secret()
    system.start_services(
        [
            *consumers(
                options.consumers, training.in_service(families, system.surroundings.mlflow)
            ),
            callback_service(secret),
            *producers(options.producers, options.port),
        ]
    )
    running = Running(
        pid=os.getpid(),
        api=options.api,
        mlflow=system.surroundings.mlflow,
        traces=sink.url,
        engine=system.surroundings.engine,
    )
    announce(state, running)
    sample = _first_sample(samples / families[0])
    _show_prediction(console, options.api, families[0], sample, sink.store)
    addresses = {
        "API": running.api,
        "Documents": f"{running.api}/schema",
        "Metrics": f"{running.api}/metrics",
        "MLflow": running.mlflow,
        "Callbacks": f"signed with {secret}",
        "Logs": _short(system.surroundings.logs),
    }
    _show_addresses(console, addresses, families[0], sample)
    if not options.once:
        console.print("Serving; Ctrl-C stops everything.")
    while not options.once:
        time.sleep(WATCH_SECONDS)
        system.mend()


def _train_what_is_missing(system: LocalSystem, families: list[str], samples: Path) -> None:
    missing = training.without_champion(families, system.surroundings.mlflow)
    if not missing:
        return
    system.say(f"no model yet for {', '.join(missing)}: generating samples")
    system.run_task(training.generate_samples(missing, samples, system.surroundings))
    system.say("training on them (takes a minute, the first time only)")
    system.run_task(training.train(missing, samples, system.surroundings))


def _first_sample(folder: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise CommandError(f"No sample file is left in {folder}. Make them anew: make clean run")
    return files[0]


def _show_prediction(
    console: Console, api: str, model: str, sample: Path, traces: TraceStore
) -> None:
    console.print(f"\nlabelling {sample.name} with {model}\n")
    with Client(api) as client:
        prediction = client.predict(sample.read_bytes(), model=model, file_name=sample.name)
    console.print(labels_table(prediction))
    console.print(stages_table(prediction.stages))
    console.print(trace_tree(prediction.trace_id, _whole_trace(traces, prediction)))


def _whole_trace(traces: TraceStore, prediction: Prediction) -> list[Span]:
    """The prediction's spans, once no more come."""
    started = last_news = time.monotonic()
    spans: list[Span] = []
    while time.monotonic() - started < TRACE_TIMEOUT_SECONDS:
        found = traces.spans(prediction.trace_id)
        if len(found) > len(spans):
            spans, last_news = found, time.monotonic()
        if spans and time.monotonic() - last_news > TRACE_QUIET_SECONDS:
            break
        time.sleep(0.05)
    return spans


def _show_addresses(
    console: Console, addresses: Mapping[str, str], model: str, sample: Path
) -> None:
    lines = [
        "",
        *(f"{name:10} {address}" for name, address in addresses.items()),
        "",
        "Try it:",
        f"  curl -i -F file=@{_short(sample)} {addresses['API']}/v1/models/{model}/predictions",
        f"  .venv/bin/carimbo predict {_short(sample)} --model {model}",
        "  .venv/bin/carimbo trace",
        "",
        "Serving; Ctrl-C stops everything.",
    ]
    console.print("\n".join(lines), soft_wrap=True)


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
