"""What does a measure have to work with?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.processes import Process
from benchmarks.sizes import Sizes

TESTS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Reading:
    """One value that was measured in one round.

    ``key`` is what the targets know it by, ``title`` what people read. ``raw`` is what the value was made of.
    """

    key: str
    title: str
    value: float
    unit: str
    raw: Sequence[Any] = ()


@dataclass(frozen=True)
class Measure:
    """Something that is measured: a function that yields readings. With ``once``, those of all rounds at a time."""

    name: str
    measure: Callable[[Bench], Iterable[Reading]]
    once: bool = False


@dataclass
class Bench:
    """A session with one database: its sizes, a folder for evidence, and the way to start processes of the project.

    ``say`` shows a line to people, and ``tell`` keeps what is no reading.
    """

    sizes: Sizes
    rounds: int
    folder: Path
    say: Callable[[str], None] = print
    tell: Callable[..., None] = lambda **_: None
    _numbers: Iterator[int] = field(default_factory=count)

    def file(self, what: str) -> Path:
        """Return the path of a new file."""
        return self.folder / f"{next(self._numbers)}-{what}"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a process: this one's, with compiled modules kept as they are everywhere else."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self.folder / "compiled"), **more}

    def manage(self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any) -> Process:
        """Start ``manage.py`` of the test project."""
        command = [sys.executable, str(TESTS / "manage.py"), *arguments]
        return Process(
            command, self.environment(**(environment or {})), self.file("manage.log"), folder=TESTS, **options
        )

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start ``manage.py`` as a crontab does; what it takes is to be measured by whoever waits for it."""
        return self.manage(*arguments, environment=environment, guarded=False)


def marks(path: Path) -> list[tuple[float, float]]:
    """Return what jobs wrote with ``app.benched.mark``: when each began, and its slot (seconds of the epoch)."""
    if not path.exists():
        return []
    return [(float(began), float(slot)) for began, slot in (line.split() for line in path.read_text().splitlines())]
