from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.errors import CommandError
from client.local import warden
from client.local.children import Child, stop
from client.local.readiness import Awaited, wait_until_ready

TIMEOUT_SECONDS = 20.0
SLEEP_FOR_EVER = "import signal, sys; print('up', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP_FOR_EVER
PARENT = """
import os, subprocess, sys
from pathlib import Path
from client.local.children import Child
child = Child("sleeper", [sys.executable, "-c", sys.argv[2]], environment=os.environ,
              log=Path(sys.argv[1]) / "child.log")
print(child.pid, flush=True)
sys.stdin.read()
"""


def start(script: str, log: Path) -> Child:
    return Child("sleeper", [sys.executable, "-c", script], environment=os.environ, log=log)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or only waits for somebody to take its exit code."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_a_child_that_ignores_the_polite_signal_is_stopped_by_force(tmp_path: Path) -> None:
    child = start(DEAF, tmp_path / "child.log")
    wait_until(lambda: "up" in child.tail())

    stop([child], timeout_seconds=0.1)

    assert child.exit_code == -signal.SIGKILL


def test_a_childs_own_children_are_stopped_with_it(tmp_path: Path) -> None:
    spawning = (
        "import subprocess, sys;"
        f"print(subprocess.Popen([sys.executable, '-c', {SLEEP_FOR_EVER!r}]).pid, flush=True)"
    )
    child = start(spawning, tmp_path / "child.log")
    wait_until(lambda: child.exit_code == 0 and "up" in child.tail())
    grandchild = int(child.tail().split("\n")[0])
    assert not has_ended(grandchild)

    stop([child])

    assert has_ended(grandchild)


def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    parent = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PARENT, str(tmp_path), SLEEP_FOR_EVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: "up" in (tmp_path / "child.log").read_text())
        parent.kill()

    wait_until(lambda: has_ended(child))


def test_the_warden_stops_only_what_was_not_taken_back() -> None:
    assert warden.groups_left(["+12\n", "+13\n", "-12\n"]) == {13}


def test_waiting_for_a_child_that_ends_says_what_it_said_last(tmp_path: Path) -> None:
    child = start("raise SystemExit('no such bucket')", tmp_path / "child.log")

    with pytest.raises(CommandError, match=r"(?s)sleeper ended .*exit code 1.*no such bucket"):
        wait_until_ready(
            [Awaited(child=child, url="http://127.0.0.1:1", timeout_seconds=TIMEOUT_SECONDS)]
        )
    stop([child])


def test_waiting_for_a_child_that_never_answers_ends(tmp_path: Path) -> None:
    child = start(SLEEP_FOR_EVER, tmp_path / "child.log")

    with pytest.raises(CommandError, match=r"did not answer at http://127\.0\.0\.1:1 within 0 s"):
        wait_until_ready([Awaited(child=child, url="http://127.0.0.1:1", timeout_seconds=0.0)])
    stop([child])
