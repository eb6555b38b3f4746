"""What was raced and what was found, counted by the tests as they go.

Each count of a test is a line of JSON in the file that ``CRONKITE_PROOF_TALLY`` names, so that nothing is lost when a
test fails; without it, nothing is kept.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

#: What is counted. ``duplicates`` are starts of a slot that had been started before, ``unaccounted`` slots that fell
#: due and were neither run nor recorded as missed.
COUNTS = (
    "slots",
    "nodes",
    "kills",
    "takeovers",
    "restarts",
    "interleavings",
    "saboteurs",
    "duplicates",
    "unaccounted",
)


class Tally:
    """The counts of one test."""

    def __init__(self, test: str) -> None:
        self.test = test
        self.path = os.environ.get("CRONKITE_PROOF_TALLY")

    def is_on(self, version: str) -> None:
        """Note the database and its version."""
        self._write(version=version)

    def add(self, **counts: int) -> None:
        """Add to the counts, which are some of ``COUNTS``."""
        if unknown := counts.keys() - set(COUNTS):
            raise TypeError(f"not counted: {', '.join(sorted(unknown))}")
        self._write(**counts)

    def _write(self, **said: object) -> None:
        if self.path:
            with open(self.path, "a") as lines:
                lines.write(json.dumps({"test": self.test, **said}) + "\n")


def total(path: Path) -> Counter[str]:
    """Return the sums of what the file says."""
    sums: Counter[str] = Counter()
    for row in _rows(path):
        sums.update({count: number for count, number in row.items() if count in COUNTS})
    return sums


def version(path: Path) -> str:
    """Return the database and its version, as far as the file says."""
    return next((row["version"] for row in _rows(path) if "version" in row), "")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
