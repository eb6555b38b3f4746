"""``python -m benchmarks.session OPTIONS``: all measures on the database of ``DATABASE_URL``, round after round.

Each reading is a line of JSON in the file that OPTIONS, JSON too, name; so nothing is lost when a later one fails.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import django

from benchmarks.bench import Bench, Measure, Reading
from benchmarks.sizes import SIZES
from databases.processes import temporary_folder

#: How long (seconds) the first start may take.
PATIENCE = 120.0


@dataclass(frozen=True)
class Options:
    """What a session is to do: how large, how often, which measures and which peers, and where to write it down."""

    samples: str
    size: str
    rounds: int
    peer_rounds: int
    only: list[str]
    peers: list[str]


class Session:
    """The rounds on one database."""

    def __init__(self, bench: Bench, samples: Path) -> None:
        self._bench = bench
        self._samples = samples

    def write(self, **line: object) -> None:
        """Write a line down."""
        with self._samples.open("a") as lines:
            lines.write(json.dumps(line) + "\n")

    def run(self, measure: Measure, number: int, rounds: int) -> None:
        """Run a round of a measure, or all of them. A crash is written down, and ends only this."""
        began = time.monotonic()
        title = measure.name if measure.once else f"{measure.name}, round {number} of {rounds}"
        self._bench.say(title)
        try:
            self._keep(measure, number, measure.measure(self._bench))
        except Exception as error:
            traceback.print_exc()
            self.write(failure=f"{type(error).__name__}: {error}"[:1000], measure=measure.name, round=number)
        else:
            self.write(passed=title, measure=measure.name, seconds=round(time.monotonic() - began, 1))

    def _keep(self, measure: Measure, number: int, readings: Iterable[Reading]) -> None:
        for reading in readings:
            line = {**asdict(reading), "raw": _rounded(reading.raw)}
            self.write(reading=line, measure=measure.name, round=number)
            self._bench.say(f"  {reading.title}: {reading.value:,.4g} {reading.unit}")


def _rounded(raw: Iterable[object]) -> list[object]:
    return [round(value, 4) if isinstance(value, float) else value for value in raw]


def main(options: Options) -> None:
    """Run the session."""
    # Whoever is told to stop ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    from benchmarks import project
    from benchmarks.measures import MEASURES, load
    from benchmarks.peers import race

    def say(text: str) -> None:
        print(text, flush=True)

    with temporary_folder() as folder:
        bench = Bench(SIZES[options.size], options.rounds, folder, say)
        session = Session(bench, Path(options.samples))
        bench.tell = session.write
        project.set_up()
        for command in ("bare", "cron"):
            # The first start of all compiles what it imports.
            bench.run(command).wait(PATIENCE)
        session.write(version=project.version())
        say(project.version())
        chosen = [load(name) for name in options.only if name in MEASURES]
        # What takes several rounds at a time comes last.
        for number in range(1, options.rounds + 1):
            for measure in chosen:
                if not measure.once:
                    session.run(measure, number, options.rounds)
        for measure in chosen:
            if measure.once:
                session.run(measure, 1, options.rounds)
        for number in range(1, options.peer_rounds + 1):
            for peer in options.peers:
                session.run(race.measure(peer), number, options.peer_rounds)


if __name__ == "__main__":
    main(Options(**json.loads(sys.argv[1])))
