"""``carimbo run`` as a person uses it: start, look, Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.local.readiness import free_port
from tests.system.conftest import RunningSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

STOP_TIMEOUT_SECONDS = 60.0


@pytest.fixture
def run(running_system: RunningSystem, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A second local system, with a copy of the first one's models, that has not served yet."""
    state = tmp_path / "state"
    for kept in ("mlflow", "samples"):
        shutil.copytree(running_system.samples.parent / kept, state / kept)
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-u", "-m", "client", "run", "--port", str(free_port())],
        env={**os.environ, "CARIMBO_STATE": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


def until_it_serves(run: subprocess.Popen[str]) -> str:
    """What it printed up to its last word before it waits."""
    assert run.stdout is not None
    printed = ""
    for line in run.stdout:
        printed += line
        if line.startswith("Serving"):
            return printed
    raise AssertionError(printed)


def state_and_parent(process: int) -> tuple[str, int]:
    """A process's state letter and its parent; X, the kernel's letter for dead, when it is gone."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return "X", 0
    state, parent = status.rpartition(")")[2].split()[:2]
    return state, int(parent)


def descendants(ancestor: int) -> set[int]:
    """The processes that descend from ``ancestor`` now."""
    processes = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    parents = {process: state_and_parent(process)[1] for process in processes}
    found: set[int] = set()
    generation = {ancestor}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        found |= generation
    return found


def running(processes: set[int]) -> set[int]:
    """Those that have neither ended nor only wait for their exit code to be taken."""
    return {process for process in processes if state_and_parent(process)[0] not in "XZ"}


def test_it_shows_labels_time_and_trace_and_then_stops_without_a_trace_of_itself(
    run: subprocess.Popen[str],
) -> None:
    printed = until_it_serves(run)
    started = descendants(run.pid)

    run.send_signal(signal.SIGINT)

    assert run.wait(STOP_TIMEOUT_SECONDS) == 0
    assert running(started) == set()
    assert len(started) >= len(["engine", "MLflow", "producer", "consumer"])
    for shown in ("labelled", "SERVI", "of the 1000 ms budget", "carimbo-consumer predict", "curl"):
        assert shown in printed


def test_killed_it_leaves_no_process_either(run: subprocess.Popen[str]) -> None:
    until_it_serves(run)
    started = descendants(run.pid)

    run.kill()

    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while running(started):
        assert time.monotonic() < deadline
        time.sleep(0.1)
