"""What was raced and what was found, counted by the tests as they go.

Each count of a test is a line of JSON in the file that ``CRONKITE_PROOF_TALLY`` names, so that nothing is lost when a
test fails; without it, nothing is kept.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

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

    def add(self, **counts: int) -> None:
        """Add to the counts, which are some of ``COUNTS``."""
        if unknown := counts.keys() - set(COUNTS):
            raise TypeError(f"not counted: {', '.join(sorted(unknown))}")
        if self.path:
            with open(self.path, "a") as lines:
                lines.write(json.dumps({"test": self.test, **counts}) + "\n")


def total(path: Path) -> Counter[str]:
    """Return the sums of what the file says."""
    sums: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        row = json.loads(line)
        row.pop("test")
        sums.update(row)
    return sums
