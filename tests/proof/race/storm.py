"""A storm: many jobs that are due, many nodes that want them, somebody who kills, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.db import DatabaseError, connection
from django.db.models import Q

from cronkite import clock
from cronkite.models import Job, Log
from cronkite.schedules import Schedule
from nodes import cron
from proof.race import ledger
from proof.race.fleet import Fleet, fleet
from proof.tally import Tally

#: Catching up on all, a job has at most so many slots due: the newest, and 99 in arrears.
MOST_DUE = 100
#: Seconds after which a storm that has not ended hangs.
PATIENCE = 300
#: How long (seconds) a lock must have shown no life to be stale, where nodes are killed.
LOCK_TIMEOUT = 2
HOUR = timedelta(hours=1)


@dataclass
class Storm:
    """The jobs of a storm and the evidence of their runs, in a folder of its own."""

    folder: Path
    tally: Tally
    jobs: list[Job] = field(default_factory=list)

    @property
    def evidence(self) -> Path:
        return self.folder / "evidence"

    def jobs_in_arrears(self, number: int, slots: int, **columns) -> list[Job]:
        """Add ``number`` jobs, each with ``slots`` slots due (up to ``MOST_DUE``), an hour apart, all to be caught up."""
        newest = Schedule("0 * * * *", "UTC").latest_at(clock.now("default"))
        first = newest - (slots - 1) * HOUR
        return self._add(number, schedule="0 * * * *", catch_up="all", next_run=first, **columns)

    def jobs_each_second(self, number: int, **columns) -> list[Job]:
        """Add ``number`` jobs that fall due each second from now on."""
        return self._add(number, schedule="* * * * * *", **columns)

    def _add(self, number: int, *, seconds: float = 0, **columns) -> list[Job]:
        begin = len(self.jobs)
        columns = {"function": "app.storm.run", "args": [str(self.evidence), seconds], "timezone": "UTC", **columns}
        names = [f"job {n}" for n in range(begin, begin + number)]
        # By their names: MySQL does not say which keys it gave.
        Job.objects.bulk_create([Job(name=name, **columns) for name in names])
        added = list(Job.objects.filter(name__in=names))
        self.jobs += added
        return added

    def all_taken(self) -> bool:
        """Tell whether nothing is due and nothing runs; ``False`` while the database does not answer."""
        try:
            return not Job.objects.filter(Q(next_run__lte=clock.Now()) | Q(lock__isnull=False)).exists()
        except DatabaseError:
            connection.close()
            return False

    def started(self) -> int:
        """Return how many runs have begun, by the evidence."""
        return self.evidence.read_bytes().count(b" begin ") if self.evidence.exists() else 0

    def winners(self) -> set[str]:
        """Return the names of the nodes that have had a run, by the evidence."""
        lines = self.evidence.read_text().splitlines() if self.evidence.exists() else []
        return {line.split()[3] for line in lines}

    def drive(self, nodes: Fleet, until: Callable[[], bool], disturb: Callable[[], None] = lambda: None) -> None:
        """Keep the nodes alive until ``until()``, and call ``disturb`` again and again meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, f"after {PATIENCE} s: {self.started()} runs, {nodes.running()} run"
            disturb()
            nodes.tend()
            time.sleep(0.1)

    def settle(self, **options) -> datetime:
        """Once all nodes have ended, have ticks take what they left; return up to when all is taken.

        What a killed node held is taken over once it is stale, so this may take more than one tick.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            now = clock.now("default")
            cron(**{"name": "afterwards", "lock_timeout": LOCK_TIMEOUT, **options})
            stale = Job.objects.filter(lock__isnull=False).exists()
            if not stale and not Job.objects.filter(next_run__lte=now).exists():
                return now
            assert time.monotonic() < deadline, f"{self.started()} runs, and some are still to be taken"
            time.sleep(0.2)

    def audit(self, nodes: Fleet, **options) -> ledger.Verdict:
        """Settle, hold all that has happened against the promises, and count it."""
        verdict = ledger.audit(self.jobs, self.evidence, self.settle(**options))
        self.count(verdict, nodes)
        return verdict

    def count(self, verdict: ledger.Verdict, nodes: Fleet) -> None:
        """Put the verdict into the tally."""
        self.tally.add(
            slots=verdict.slots,
            takeovers=verdict.takeovers,
            duplicates=verdict.duplicates,
            unaccounted=verdict.unaccounted,
            nodes=nodes.started,
            kills=nodes.kills,
        )

    def forget(self) -> None:
        """Have the tables and the evidence empty again, for the next round of a long storm."""
        Log.objects.all().delete()
        Job.objects.all().delete()
        self.evidence.unlink(missing_ok=True)
        self.jobs = []


def all_of(nodes: Fleet) -> set[str]:
    """Return the names of the fleet's nodes."""
    return {f"node-{n}" for n in range(1, nodes.number + 1)}


__all__ = ["LOCK_TIMEOUT", "MOST_DUE", "Storm", "all_of", "fleet"]
