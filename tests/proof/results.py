"""What a proof came to, for people and programs that read it later."""

from __future__ import annotations

import json
import platform
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from proof.tally import COUNTS, total, version


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
class Report:
    """The proof on all databases that were asked for. ``date`` is UTC, ``seconds`` from the first to the last.

    It may be the sums of several ``parts``, of which date and command are those of the last.
    """

    date: datetime
    command: str
    seconds: float
    results: list[Result]
    parts: int = 1

    def __add__(self, later: Report) -> Report:
        """Return the sums of both, database by database."""
        sums = {result.database: result for result in self.results}
        for result in later.results:
            before = sums.get(result.database)
            sums[result.database] = before + result if before else result
        parts, seconds = self.parts + later.parts, self.seconds + later.seconds
        return replace(later, results=list(sums.values()), parts=parts, seconds=seconds)

    def as_json(self) -> str:
        """Return all of it, with the versions of Python and of the operating system."""
        about = {"date": self.date.isoformat(timespec="seconds"), "command": self.command}
        about |= {"python": platform.python_version(), "system": platform.platform()}
        sums = {"seconds": round(self.seconds), "parts": self.parts}
        return json.dumps({**about, **sums, "results": [asdict(result) for result in self.results]}, indent=2) + "\n"


def read(database: str, tallies: list[Path], seconds: float, *, failed: bool) -> Result:
    """Return the result that the tallies of a database tell of."""
    sums = sum(map(total, tallies), Counter())
    return Result(database, version(tallies[0]), {count: sums[count] for count in COUNTS}, round(seconds, 1), failed)


def load(path: Path) -> Report:
    """Return the report that ``as_json`` wrote into a file."""
    said = json.loads(path.read_text())
    found = [Result(**result) for result in said["results"]]
    date = datetime.fromisoformat(said["date"])
    return Report(date, said["command"], said["seconds"], found, said["parts"])
