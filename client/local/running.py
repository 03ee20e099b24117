"""One local system a state folder: the lock that says so, and where its parts answer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from client.errors import CommandError

LOCK = "run.lock"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A running system's process and addresses. Addresses are empty while it starts."""

    pid: int
    api: str = ""
    mlflow: str = ""
    traces: str = ""
    engine: str = ""


@contextmanager
def only_one(state: Path) -> Iterator[Path]:
    """Hold the state folder's lock; the system gives it back even when it is killed.

    Raises:
        CommandError: another process holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    path = state / LOCK
    with path.open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _read(path)
            who = f"process {other.pid}" if other else "another process"
            raise CommandError(
                f"A local system is running already in {state} ({who}). Stop it first, with "
                f"Ctrl-C where it runs{f' or with: kill {other.pid}' if other else ''}"
            ) from None
        announce(state, Running(pid=os.getpid()))
        yield path
        lock.truncate(0)


def announce(state: Path, running: Running) -> None:
    """Tell other commands where the system answers."""
    (state / LOCK).write_bytes(msgspec.json.encode(running))


def find_running(state: Path) -> Running:
    """The system that runs now.

    Raises:
        CommandError: none does.
    """
    found = _read(state / LOCK)
    if found is None or not found.api or not _is_held(state / LOCK):
        raise CommandError(f"No local system runs in {state}. Start one: make run")
    return found


def _is_held(path: Path) -> bool:
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _read(path: Path) -> Running | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
