"""Outlives the process that started the local system, for as long as it takes to clean up.

Run as a script with the standard library only. It reads process groups from its standard input,
``+1234`` and ``-1234`` a line. When the input ends, however the other side ended (``kill -9``
included), what is still listed is stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 5.0


def groups_left(lines: Iterable[str]) -> set[int]:
    """The process groups that were announced and never taken back."""
    groups: set[int] = set()
    for line in lines:
        act, number = line[:1], line[1:].strip()
        if act == "+":
            groups.add(int(number))
        else:
            groups.discard(int(number))
    return groups


def stop_groups(groups: set[int], grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask every process of ``groups`` to end, and end those that have not done so in time."""
    _signal_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(is_alive(group) for group in groups):
        time.sleep(0.05)
    _signal_groups(groups, signal.SIGKILL)


def is_alive(group: int) -> bool:
    """Whether the group has a member, be it one that ended and was not yet waited for."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_groups(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


if __name__ == "__main__":
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    stop_groups(groups_left(sys.stdin))
