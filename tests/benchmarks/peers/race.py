"""How does a peer do? The same four questions for each.

1. *Pace*: so many jobs, all due in one slot; one node. Jobs per second from the first function's first line to the
   last's.
2. *Run twice*: jobs of one slot, two nodes. How many were run more than once.
3. *Start*: on one node, from the slot to the function's first line: one job each second, or where a peer has only
   minutes, a few jobs each minute.
4. *Idle*: with very many jobs, none of which is due: processor time a minute, and memory (PSS) of all processes of a
   node.

Each has a database of its own on the server, made anew. What a peer cannot do, or not before the deadline, is noted
with its reason and is no failure of the benchmark. All of it by this machine's clock, which is the database's too.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from django.db import connection

from benchmarks import footprint, machine
from benchmarks.bench import TESTS, Bench, Measure, Reading, marks
from benchmarks.peers import PEERS
from benchmarks.peers.declared import Jobs
from benchmarks.processes import Failed, Process, TooLate, running, until
from benchmarks.stats import percentile

#: Seconds: to store jobs; for nodes to be ready; until a burst has to be over; until nothing more is taken to come.
STORE, READY, BURST, QUIET = 300.0, 25.0, 240.0, 8.0
#: Jobs each minute, where there are only minutes.
EACH_MINUTE = 5


class Race:
    """One peer, in one round."""

    def __init__(self, name: str, bench: Bench) -> None:
        self.name = name
        self.peer: ModuleType = import_module(f"benchmarks.peers.{PEERS[name]}")
        self.bench = bench
        self.notes: list[str] = []

    def run(self) -> Iterator[Reading]:
        """Ask the four questions; what cannot be answered is noted."""
        for ask in (self.pace, self.twice, self.start, self.idle):
            try:
                yield from ask()
            except Exception as problem:
                if self.name == "cronkite":
                    raise
                self.bench.say(f"  {self.peer.TITLE}, {ask.__name__}: {problem}")
                self.notes.append(f"{ask.__name__}: {_short(problem)}")
        self.bench.tell(
            peer=self.name,
            about={
                "title": self.peer.TITLE,
                "records": self.peer.RECORDS,
                "versions": machine.versions(self.peer.DISTRIBUTIONS),
                "settings": self.peer.SETTINGS,
                "notes": self.notes,
            },
        )

    def pace(self) -> Iterator[Reading]:
        """Have all jobs due in one slot."""
        number, path = self.bench.sizes.peer_burst, self.bench.file("marks")
        slot = _minute()
        with self._project(Jobs(number, _at(slot), str(path))) as start, running(*start(1)) as nodes:
            try:
                until(
                    lambda: len(marks(path)) >= number, _left(slot) + BURST, f"{number} jobs had run", *nodes, pause=0.1
                )
            except TooLate:
                if len(marks(path)) < 2:
                    raise
                self.notes.append(f"pace: {len(marks(path))} of {number} jobs had run after {BURST:g} s")
        began = sorted(at for at, _ in marks(path))
        yield self._reading("pace", "jobs due at once", (len(began) - 1) / (began[-1] - began[0]), "jobs/s")
        yield self._reading("lag", "jobs due at once, slot to the first", began[0] - slot.timestamp(), "s")

    def twice(self) -> Iterator[Reading]:
        """Let two nodes have the jobs of one slot."""
        number, path = self.bench.sizes.peer_slots, self.bench.file("marks")
        slot = _minute()
        with self._project(Jobs(number, _at(slot), str(path))) as start, running(*start(2)) as nodes:
            until(
                lambda: len({n for _, n in marks(path)}) >= number,
                _left(slot) + BURST,
                "all had run",
                *nodes,
                pause=0.1,
            )
            _wait_for_quiet(path)
        runs = Counter(n for _, n in marks(path))
        yield self._reading("twice", f"of {number} slots run twice", sum(count > 1 for count in runs.values()), "")

    def start(self) -> Iterator[Reading]:
        """See how long after the slot a function begins."""
        path, sizes, finest = self.bench.file("marks"), self.bench.sizes, self.peer.FINEST
        each = 1 if finest == 1 else EACH_MINUTE
        wanted = each * (sizes.slots // 2 if finest == 1 else sizes.peer_minutes)
        crontab = "* * * * * *" if finest == 1 else "* * * * *"
        with self._project(Jobs(each, crontab, str(path))) as start, running(*start(1)) as nodes:
            # What a peer makes of the slots before it was ready is not asked here: its first slot is left out.
            patience = READY + BURST + finest * (wanted / each + 1)
            until(lambda: len(marks(path)) >= wanted + each, patience, f"{wanted} jobs had run", *nodes, pause=0.1)
        late = [at % finest * 1000 for at, _ in sorted(marks(path))[each : each + wanted]]
        for percent in (50, 99):
            raw = late if percent == 50 else ()
            yield self._reading(
                f"p{percent}", f"start after the slot, p{percent}", percentile(late, percent), "ms", raw
            )

    def idle(self) -> Iterator[Reading]:
        """Watch a node that has nothing to do."""
        number = min(self.bench.sizes.peer_jobs, self.peer.MOST_JOBS or self.bench.sizes.peer_jobs)
        if number < self.bench.sizes.peer_jobs:
            self.notes.append(f"idle: with {number} jobs, not {self.bench.sizes.peer_jobs}")
        far = datetime.now(timezone.utc) + timedelta(hours=6)
        path = self.bench.file("marks")
        with self._project(Jobs(number, _at(far), str(path))) as start, running(*start(1)) as nodes:
            time.sleep(READY)
            if dead := [node for node in nodes if not node.is_alive()]:
                raise Failed(f"{dead[0]} ended with {dead[0].process.returncode}. {dead[0].said()}")
            began, used = time.monotonic(), self._cpu(nodes)
            time.sleep(self.bench.sizes.idle)
            minutes = (time.monotonic() - began) / 60
            yield self._reading("cpu", f"idle with {number:,} jobs, CPU", (self._cpu(nodes) - used) / minutes, "s/min")
            memory = sum(footprint.proportional(footprint.family(node.pid)) for node in nodes)
            yield self._reading("memory", f"idle with {number:,} jobs, memory (PSS)", memory, "MB")

    def _reading(self, key: str, title: str, value: float, unit: str, raw=()) -> Reading:
        return Reading(f"peer.{self.name}.{key}", f"{self.peer.TITLE}: {title}", value, unit, raw)

    def _cpu(self, nodes: tuple[Process, ...]) -> float:
        return sum(footprint.cpu_seconds(footprint.family(node.pid)) for node in nodes)

    @contextmanager
    def _project(self, jobs: Jobs) -> Iterator[Callable[[int], list[Process]]]:
        """Make a database with the jobs, and forget it at the end; yield what starts so many nodes."""
        database = f"bench_{self.name.replace('-', '_')}"
        folder = self.bench.file("folder")
        folder.mkdir()
        url = urlsplit(self.bench.environment()["DATABASE_URL"])._replace(path=f"/{database}").geturl()
        environment = self.bench.environment(
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="benchmarks.peers.settings",
            CRONKITE_BENCH_PEER=self.name,
            CRONKITE_BENCH_FOLDER=str(folder),
            **jobs.as_environment(),
        )

        def process(command: list[str], node: int = 0) -> Process:
            words = [word.replace("{node}", f"node{node}") for word in command]
            here = folder / f"node{node}"
            here.mkdir(exist_ok=True)
            log = self.bench.file("peer.log")
            # Some import their modules from the folder that they are in, or leave files there.
            path = {"PYTHONPATH": f"{TESTS}:{environment.get('PYTHONPATH', '')}"}
            return Process(words, {**environment, **path, "CRONKITE_TEST_NODE": f"node{node}"}, log, folder=here)

        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {database}")
        try:
            with running(process([sys.executable, "-m", "benchmarks.peers.declare"])) as (store,):
                store.wait(STORE)
            services = getattr(self.peer, "services", lambda folder: [])(folder)

            def start(number: int) -> list[Process]:
                shared = [process(words) for words in services]
                return shared + [process(words, node) for node in range(number) for words in self.peer.commands()]

            yield start
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def measure(name: str) -> Measure:
    """Return the measure that is one peer."""
    return Measure(name, lambda bench: Race(name, bench).run())


def _minute() -> datetime:
    """Return the next full minute that leaves nodes the time to be ready."""
    soon = datetime.now(timezone.utc) + timedelta(seconds=READY + 60)
    return soon.replace(second=0, microsecond=0)


def _at(slot: datetime) -> str:
    return f"{slot.minute} {slot.hour} * * *"


def _left(slot: datetime) -> float:
    return slot.timestamp() - time.time()


def _short(problem: Exception) -> str:
    """Return the first line of what went wrong, and the last, which is where a traceback says what it was."""
    lines = str(problem).splitlines() or [type(problem).__name__]
    return " … ".join(dict.fromkeys([lines[0][:200], lines[-1][:200]]))


def _wait_for_quiet(path: Path) -> None:
    """Wait until nothing has run for a while."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        time.sleep(0.2)
