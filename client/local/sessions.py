"""Finds the processes of a session, whatever groups they have made for themselves since."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")
GROUP, SESSION = 2, 3
"""Where they stand in /proc/<pid>/stat, counted after the command's name."""


def groups_of(sessions: Iterable[int]) -> set[int]:
    """The process groups in ``sessions``; none where the system has no /proc."""
    wanted = set(sessions)
    groups: set[int] = set()
    for stat in PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name may hold spaces and parentheses; what follows the last one may not.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[SESSION]) in wanted:
                groups.add(int(fields[GROUP]))
    return groups
