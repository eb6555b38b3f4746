"""What do running processes use? Read from ``/proc``, so on Linux only."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """Return the process, its session's other processes, and the descendants of all of them."""
    parents, sessions = {}, {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # The name, in parentheses, may hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], sessions[int(entry.name)] = int(fields[1]), int(fields[3])
    found = {other for other, session in sessions.items() if pid in (session, other)}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of the processes' living threads, to the nanosecond where the kernel tells."""
    nanoseconds = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").glob("*/schedstat"):
            with suppress(OSError):
                nanoseconds += int(task.read_text().split()[0])
    return nanoseconds / 1e9


def resident(pid: int) -> float:
    """Return the resident memory of one process, in megabytes, what it shares with others included."""
    return _kilobytes(PROC / str(pid) / "status", "VmRSS") / 1024


def proportional(pids: Iterable[int]) -> float:
    """Return the memory of the processes, in megabytes: what n of them share counts as an n-th for each (PSS)."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += _kilobytes(PROC / str(pid) / "smaps_rollup", "Pss")
    return total / 1024


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"{path} has no {name}")
