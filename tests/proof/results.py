"""What a proof came to, for people and programs that read it later."""

from __future__ import annotations

import json
import platform
from collections import Counter
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Report:
    """The proof on all databases that were asked for. ``date`` is UTC, ``seconds`` from the first to the last."""

    date: datetime
    command: str
    seconds: float
    results: list[Result]

    def as_json(self) -> str:
        """Return all of it, with the versions of Python and of the operating system."""
        about = {"date": self.date.isoformat(timespec="seconds"), "command": self.command}
        system = {"python": platform.python_version(), "system": platform.platform(), "seconds": round(self.seconds)}
        return json.dumps({**about, **system, "results": [asdict(result) for result in self.results]}, indent=2) + "\n"


def read(database: str, tallies: list[Path], seconds: float, *, failed: bool) -> Result:
    """Return the result that the tallies of a database tell of."""
    sums = sum(map(total, tallies), Counter())
    return Result(database, version(tallies[0]), {count: sums[count] for count in COUNTS}, round(seconds, 1), failed)


def load(path: Path) -> Report:
    """Return the report that ``as_json`` wrote into a file."""
    said = json.loads(path.read_text())
    found = [Result(**result) for result in said["results"]]
    return Report(datetime.fromisoformat(said["date"]), said["command"], said["seconds"], found)
