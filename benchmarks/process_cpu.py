"""CPU time and memory of processes, read from the kernel's own accounting."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_USER_FIELD, _SYSTEM_FIELD = 11, 12  # counted after the command's closing bracket (proc(5))


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system seconds that ``pids`` have used so far, threads included."""
    return sum(_cpu_ticks(pid) for pid in pids) / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def group_resident_bytes(group: int) -> int:
    """Memory that the processes of a group hold now; what they share counts for each."""
    return sum(resident_bytes(pid) for pid in _group(group))


def _group(group: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getpgid(int(folder.name)) == group:
                yield int(folder.name)


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])
