"""What of a process can't be put back, or not by everybody?

Whose process it is, its root, its namespaces, its limits, its rights and its priority.
"""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from typing import Any

from cronkite.processes import proc

_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
#: Where Linux tells of the namespaces of a thread (``man 7 namespaces``).
NAMESPACES = "/proc/thread-self/ns"
#: What Linux tells of the rights of a process (``man 5 proc``): capabilities, and what it has renounced.
_RIGHTS = re.compile(r"^(?:Cap\w+|NoNewPrivs|Seccomp):.*", re.MULTILINE)


class Bonds:
    """What a process is bound by, as it is now."""

    def __init__(self) -> None:
        self._limits = limits()
        self._others = _others()

    def are_still(self) -> bool:
        """Tell whether it is bound as it was."""
        return limits() == self._limits and _others() == self._others

    def loosen(self) -> None:
        """Put back the limits, as far as this process may: soft ones anybody may, up to the hard ones."""
        for limit, (soft, hard) in self._limits.items():
            now = resource.getrlimit(limit)
            if now == (soft, hard):
                continue
            try:
                resource.setrlimit(limit, (soft, hard))
            except (OSError, ValueError):
                most = now[1] if _exceeds(soft, now[1]) else soft
                with suppress(OSError, ValueError):
                    resource.setrlimit(limit, (most, now[1]))


def limits() -> dict[int, tuple[int, int]]:
    """Return the limits on what this process may use."""
    return {limit: resource.getrlimit(limit) for limit in _LIMITS}


def _exceeds(limit: int, other: int) -> bool:
    return other != resource.RLIM_INFINITY and (limit == resource.RLIM_INFINITY or limit > other)


def _others() -> list[Any]:
    root = os.stat("/")  # noqa: PTH116 - faster, after each run
    return [
        os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid()),
        os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid()),
        os.getgroups(),
        (root.st_dev, root.st_ino),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None,
        _RIGHTS.findall(proc.told("status")),
        proc.told("oom_score_adj"),
        _namespaces(),
    ]


def _namespaces() -> dict[str, str]:
    """Return which network, which hosts' names and the like this thread, and what it starts, finds."""
    found: dict[str, str] = {}
    with suppress(OSError):
        for name in os.listdir(NAMESPACES):  # noqa: PTH208 - faster, after each run
            found[name] = os.readlink(f"{NAMESPACES}/{name}")  # noqa: PTH115 - the same
    return found
