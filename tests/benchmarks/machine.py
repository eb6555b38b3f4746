"""Which machine is this, with which versions?"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

#: What the speed depends on.
DISTRIBUTIONS = (
    "django-cronkite",
    "Django",
    "croniter",
    "psycopg",
    "psycopg-binary",
    "psycopg-c",
    "psycopg2",
    "psycopg2-binary",
    "mysqlclient",
)


def describe() -> dict[str, Any]:
    """Return the processor, its cores, the memory and the system."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "load": round(os.getloadavg()[0], 2),
    }


def versions(distributions: Iterable[str] = DISTRIBUTIONS) -> dict[str, str]:
    """Return the versions of those of the distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
