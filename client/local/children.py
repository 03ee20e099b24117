"""The local system's processes: each in a group of its own, none left behind.

A child may have children (MLflow's server has), so a whole group is signalled. Each group is known
to the warden before its command starts: the child waits for a line on its standard input, and
ends if that closes first. So no moment exists in which a killed parent leaves a process.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from client.local import warden

GATE = 'read -r _ && exec "$@" </dev/null'
STOP_TIMEOUT_SECONDS = 15.0
GROUP_TIMEOUT_SECONDS = 3.0
KILL_TIMEOUT_SECONDS = 3.0
TAIL_BYTES = 16_384


class Child:
    """A running command. ``name`` is how people are told about it; ``log`` has its output."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands, no user's input
                ["/bin/sh", "-c", GATE, name, *command],
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _tell_warden(f"+{self.pid}")
        if self._process.stdin is not None:
            with suppress(BrokenPipeError), self._process.stdin as gate:
                gate.write(b"go\n")

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it is still there."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, timeout_seconds: float) -> int | None:
        """Wait for the command to end; None when it did not within the time-out."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def forget(self) -> None:
        """Take the group off the warden's list: nothing of it is left."""
        _tell_warden(f"-{self.pid}")


def stop(children: Iterable[Child], timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
    """Stop several children at the same time: politely, then by force."""
    stopping = list(children)
    for child in stopping:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    for child in stopping:
        if child.wait(max(0.0, deadline - time.monotonic())) is not None:
            _wait_for_group(child.pid)
        child.signal(signal.SIGKILL)
        child.wait(KILL_TIMEOUT_SECONDS)
        child.forget()


def _wait_for_group(group: int) -> None:
    """Wait for what a command that ended has left behind to follow it."""
    deadline = time.monotonic() + GROUP_TIMEOUT_SECONDS
    while warden.is_alive(group) and time.monotonic() < deadline:
        time.sleep(0.02)


@cache
def _warden() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-I", "-S", warden.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_dismiss, process)
    return process


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.wait(warden.GRACE_SECONDS + KILL_TIMEOUT_SECONDS)


def _tell_warden(line: str) -> None:
    pipe = _warden().stdin
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.write(f"{line}\n".encode())
            pipe.flush()
