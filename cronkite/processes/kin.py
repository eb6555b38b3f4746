"""What has a process started, and how does that end with it?

Linux knows, by ``/proc`` and ``prctl`` (``man 2 prctl``, PR_SET_CHILD_SUBREAPER). Elsewhere only what has stayed in the
process's own group is found.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
#: How often the family of a process is looked at anew while it is killed: each time, what it started meanwhile is seen.
ROUNDS = 10
#: How long (seconds) what a run has started may take to heed SIGTERM, and how often it is looked at.
PATIENCE = 1.0
PAUSE = 0.01


def adopt_orphans() -> None:
    """Have what this process's children leave behind become its own children, so that it can be found; Linux only."""
    with suppress(AttributeError, OSError):
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def have_children() -> bool:
    """Tell whether this process has children that live; those that have ended are reaped."""
    try:
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def is_init() -> bool:
    """Tell whether this is the first process of its container, to which all go whose parents have died."""
    return os.getpid() == 1


def reap_orphans() -> None:
    """Let go of what was left to this process and has ended, if nobody else does: else the dead stay in the table."""
    if is_init():
        have_children()


def end_children() -> None:
    """End what this process has started, and what that has: SIGTERM, and after a second SIGKILL."""
    deadline = time.monotonic() + PATIENCE
    for pid in descendants(os.getpid()):
        _signal(pid, signal.SIGTERM)
    while have_children() and time.monotonic() < deadline:
        time.sleep(PAUSE)
    for _ in range(ROUNDS):
        if not have_children():
            return
        for pid in descendants(os.getpid()):
            _signal(pid, signal.SIGKILL)
        time.sleep(PAUSE)


def kill(pid: int) -> None:
    """Kill a process that leads a group of its own, and all that it has started, at once."""
    # It starts nothing any more while its children are looked for; they become its own children as theirs are killed.
    _signal(pid, signal.SIGSTOP)
    for _ in range(ROUNDS):
        family = descendants(pid)
        for each in family:
            _signal(each, signal.SIGKILL)
        if not family:
            break
    kill_group(pid)
    _signal(pid, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """Kill what is left of the group that ``leader`` began, whether or not that lives."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the ids of what ``pid`` has started, and of what that has, but for what has ended and is not reaped."""
    found = []
    for child in _children(pid):
        if is_alive(child):
            found.append(child)
        found += descendants(child)
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    found = []
    for task in tasks:
        # The thread may have ended meanwhile, and its children have become another's.
        with suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether the process is there, and has not ended without having been reaped yet."""
    return _began(pid) is not None


def fate(code: int) -> str:
    """Return in words how a process ended, whose exit code is as :mod:`subprocess` has them.

    >>> fate(3), fate(-9), fate(-40)
    ('exited with code 3', 'was killed by SIGKILL', 'was killed by signal 40')
    """
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # most real-time signals have no name
        return f"was killed by signal {-code}"


@dataclass(frozen=True)
class Known:
    """A process that may have another parent than the one who looks at it.

    Its number becomes another's when it has ended; so it is also known by when it began (where Linux tells that).
    """

    pid: int
    began: str

    @classmethod
    def this(cls) -> Known:
        """Return this process."""
        return cls(os.getpid(), _began(os.getpid()) or "")

    def lives(self) -> bool:
        """Tell whether it has not ended."""
        if self.began:
            return _began(self.pid) == self.began
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def kill(self) -> None:
        """Kill it, if it lives, with all that it has started; it leads a group of its own."""
        if self.lives():
            kill(self.pid)


def _began(pid: int) -> str | None:
    """Return when a process began, in the system's words; ``None`` if it has ended, or nobody tells."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
