"""Which processes belong to a node: itself, its nursery, its workers, and what they have started? Linux only.

A node and its nursery are a group; each worker leads a session of its own below the nursery.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the ids of the processes that ``pid`` has started."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Return the ids of what ``pid`` has started, and what that has, and so on."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def group(leader: int) -> list[int]:
    """Return the ids of the living processes of a group."""
    return [pid for pid, number, _ in _living() if number == leader]


def of_sessions(leaders: set[int]) -> list[int]:
    """Return the ids of the living processes in sessions that these processes began."""
    return sorted(pid for pid, _, session in _living() if session in leaders)


def _living() -> Iterator[tuple[int, int, int]]:
    """Yield the living processes, each with its group and its session."""
    for pid, (state, _, number, session) in _all():
        if state != "Z":
            yield pid, int(number), int(session)


def zombies(parent: int) -> int:
    """Return how many children of a process have ended, and were not reaped."""
    return sum((state, int(its)) == ("Z", parent) for _, (state, its, *_) in _all())


def _all() -> Iterator[tuple[int, list[str]]]:
    """Yield all processes with the state, the parent, the group and the session of each."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (told := _told(int(folder.name))):
            yield int(folder.name), told


def _told(pid: int) -> list[str]:
    """Return what :func:`_all` has of a process; nothing, if there is none."""
    # It may end before its file is opened, and between that and its being read.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return []


def family(leader: int) -> list[int]:
    """Return the ids of the processes of a node's group, and of all that they have started."""
    found = group(leader)
    return list(dict.fromkeys([*found, *(each for pid in found for each in descendants(pid))]))


def workers(node: int) -> list[int]:
    """Return the ids of a node's worker processes, whether or not it still lives itself."""
    return [worker for pid in group(node) if pid != node for worker in children(pid)]


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to those that still live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def end(leader: int) -> None:
    """Kill a node's family; stopped first, so that nobody starts anything meanwhile."""
    while found := family(leader):
        signal_all(found, signal.SIGSTOP)
        found += [pid for pid in family(leader) if pid not in found]
        signal_all(found, signal.SIGKILL)
        if not any(map(is_alive, found)):
            return


def is_alive(pid: int) -> bool:
    """Tell whether the process is there, and has not ended without having been reaped yet."""
    return _told(pid)[:1] not in ([], ["Z"])
