"""What a proof came to, for people and programs that read it later."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from proof.tally import COUNTS, total, version

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """The proof on one database: its version, what was counted (see ``proof.tally``), and how many seconds it took."""

    database: str
    version: str
    counts: dict[str, int]
    seconds: float
    failed: bool

    def __add__(self, later: Result) -> Result:
        """Return the sums of both, on the version of the later one."""
        counts = {count: self.counts.get(count, 0) + number for count, number in later.counts.items()}
        seconds, failed = round(self.seconds + later.seconds, 1), self.failed or later.failed
        return replace(later, counts=counts, seconds=seconds, failed=failed)


@dataclass(frozen=True)
class Part:
    """One run of the proof: of what code, asked how and where, and what came of it on each database.

    ``date`` is when it began, in UTC; ``outcomes`` counts its tests by pytest's words.
    """

    date: datetime
    commit: str
    command: str
    seconds: float
    outcomes: dict[str, int]
    results: list[Result]
    python: str = field(default_factory=platform.python_version)
    system: str = field(default_factory=platform.platform)


@dataclass(frozen=True)
class Report:
    """What one run came to, or several, of which the results are the sums."""

    parts: list[Part]

    @property
    def results(self) -> list[Result]:
        """The sums of all parts, database by database."""
        sums: dict[str, Result] = {}
        for result in (result for part in self.parts for result in part.results):
            before = sums.get(result.database)
            sums[result.database] = before + result if before else result
        return list(sums.values())

    def __add__(self, later: Report) -> Report:
        return Report([*self.parts, *later.parts])

    def as_json(self) -> str:
        """Return all parts as JSON, from which ``load`` makes the same report."""
        parts = [asdict(part) | {"date": part.date.isoformat(timespec="seconds")} for part in self.parts]
        return json.dumps({"parts": parts}, indent=2) + "\n"


def commit() -> str:
    """Return the commit that is checked out, ``-dirty`` if its package or tests were changed; ``""`` without git."""
    try:
        found = _git("log", "-1", "--format=%h")
        return f"{found}-dirty" if _git("status", "--porcelain", "--", "cronkite", "tests") else found
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    git = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True, text=True, timeout=60)
    return git.stdout.strip()


def read(database: str, tallies: list[Path], seconds: float, *, failed: bool) -> Result:
    """Return the result that the tallies of a database tell of."""
    sums = sum(map(total, tallies), Counter())
    return Result(database, version(tallies[0]), {count: sums[count] for count in COUNTS}, round(seconds, 1), failed)


def load(path: Path) -> Report:
    """Return the report that ``as_json`` wrote into a file."""
    return Report([_part(**said) for said in json.loads(path.read_text())["parts"]])


def _part(date: str, results: list[dict[str, Any]], **rest: Any) -> Part:
    return Part(date=datetime.fromisoformat(date), results=[Result(**result) for result in results], **rest)
