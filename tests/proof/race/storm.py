"""A storm: many jobs that are due, many nodes that want them, somebody who kills, and the verdict."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from nodes import nodes

from cronkite.claims import holding
from cronkite.database import clock
from cronkite.models import Job, Log
from proof.race import ledger
from proof.race.fleet import Fleet, fleet
from proof.tally import Tally

#: Catching up on all, a job has at most so many slots due: the newest, and 99 in arrears.
MOST_DUE = 100
#: Seconds after which a storm, or a round of a long one, that has not ended hangs.
PATIENCE = 900
#: How long (seconds) a lock must have shown no life to be stale, where nodes are killed.
LOCK_TIMEOUT = 2
#: The same where nobody is to be taken for dead who is not: a busy machine may well stall a node for ``LOCK_TIMEOUT``.
LONG_LOCK_TIMEOUT = 15
#: After which time without a sign of life a run is gone: it was renewed four times in ``LOCK_TIMEOUT``.
DEAD_AFTER = timedelta(seconds=2 * LOCK_TIMEOUT)
#: The newest of 120 slots that all lie some days ago, and the schedule that has them: no minute or hour that turns
#: during a storm adds one. Not longer ago, as the nodes have to count what is due.
NEWEST_IN_ARREARS = datetime.now(timezone.utc).replace(hour=1, minute=59, second=0, microsecond=0) - timedelta(days=3)
IN_ARREARS = f"* 0,1 {NEWEST_IN_ARREARS.day} {NEWEST_IN_ARREARS.month} *"
#: About how much evidence a run leaves.
BYTES_PER_RUN = 100
#: A node that takes what is due, and does not wait for more; the runs that it makes are short ones.
IN_A_HURRY = {"CRONKITE_TEST_LOOKAHEAD": "0", "CRONKITE_TEST_HURRY": "1"}


#: A tick that takes what is left when all nodes have ended.
AFTERWARDS = {"name": "afterwards", "lock_timeout": LOCK_TIMEOUT, **IN_A_HURRY}


@dataclass
class Storm:
    """The jobs of a storm and the evidence of their runs, in a folder of its own."""

    folder: Path
    tally: Tally
    jobs: list[Job] = field(default_factory=list)
    rounds: int = 1
    taken_by: datetime | None = None

    @property
    def evidence(self) -> Path:
        return self.folder / f"evidence-{self.rounds}"

    def jobs_in_arrears(self, number: int, slots: int, **columns) -> list[Job]:
        """Add ``number`` jobs, each with ``slots`` slots (``MOST_DUE`` at most) due, all to be caught up on."""
        first = NEWEST_IN_ARREARS - (slots - 1) * timedelta(minutes=1)
        return self._add(number, **{"schedule": IN_ARREARS, "catch_up": "all", "next_run": first, **columns})

    def jobs_each_second(self, number: int, **columns) -> list[Job]:
        """Add ``number`` jobs that fall due each second from now on."""
        return self._add(number, **{"schedule": "* * * * * *", **columns})

    def _add(self, number: int, *, seconds: float = 0, **columns) -> list[Job]:
        begin = len(self.jobs)
        columns = {"function": "app.storm.run", "args": [str(self.evidence), seconds], "timezone": "UTC", **columns}
        names = [f"job {n}" for n in range(begin, begin + number)]
        # Read before any node can see them, and so as they were made. By their names: MySQL does not say which keys it
        # gave.
        with transaction.atomic():
            Job.objects.bulk_create([Job(name=name, **columns) for name in names])
            added = list(Job.objects.filter(name__in=names))
        self.jobs += added
        return added

    def all_taken(self) -> bool:
        """Tell whether nothing is due and nothing runs; ``False`` while the database does not answer.

        The last slot of a job may leave the lock of a run that was killed: it is taken over when the next slot is due.
        """
        try:
            self.taken_by = clock.now("default")
            alive = Q(locked_at__gte=self.taken_by - DEAD_AFTER)
            return not Job.objects.filter(Q(next_run__lte=self.taken_by) | alive).exists()
        except DatabaseError:
            connection.close()
            return False

    def is_quiet(self) -> bool:
        """Tell whether nothing runs and no claim is under way, which could be seen only when it is committed."""
        with transaction.atomic():
            return all(job.lock is None for job in Job.objects.select_for_update().order_by("pk"))

    def runs(self) -> list[ledger.Run]:
        """Return the runs of this round, by the evidence."""
        return ledger.runs(self.evidence)

    def started(self) -> int:
        """Return how many runs have begun, by the evidence."""
        return len(self.runs())

    def unended(self) -> list[ledger.Run]:
        """Return the runs that have begun and not ended, by the evidence."""
        return [run for run in self.runs() if run.ended is None]

    def progress(self) -> int:
        """Return about how many runs have begun in this round, without reading the evidence."""
        return self.evidence.stat().st_size // BYTES_PER_RUN if self.evidence.exists() else 0

    def duplicates(self) -> int:
        """Return how many runs were of a slot that had been started before, by the evidence."""
        found = self.runs()
        return len(found) - len({(run.job, run.slot) for run in found})

    def winners(self) -> set[str]:
        """Return the names of the nodes that have had a run, by the evidence."""
        return {run.node for run in self.runs()}

    def log_of(self, run: ledger.Run) -> Log:
        """Return the log of a run that the evidence tells of."""
        return Log.objects.get(job=run.job, fence=run.fence)

    def has_takeovers(self) -> bool:
        """Tell whether a lock was stale and taken over."""
        return Log.objects.filter(job__in=self.jobs, status=Log.Status.LOST, reason__contains="took it over").exists()

    def logs(self) -> list[Log]:
        """Return the logs of the storm's jobs."""
        return list(Log.objects.filter(job__in=self.jobs))

    def drive(self, nodes: Fleet, until: Callable[[], bool], disturb: Callable[[], None] = lambda: None) -> None:
        """Keep the nodes alive until ``until()``, and call ``disturb`` again and again meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, f"after {PATIENCE} s: {self.started()} runs, {nodes.running()} run"
            disturb()
            nodes.tend()
            time.sleep(0.1)

    def share(self, nodes: Fleet, number: int, slots: int, most: int) -> None:
        """Add so many jobs in arrears again and again, until each node has had a run: one that is late finds more."""
        while not self.winners() >= all_of(nodes):
            assert len(self.jobs) < most, f"only {sorted(self.winners())} have won"
            self.jobs_in_arrears(number, slots)
            self.drive(nodes, self.all_taken)

    def settle(self, **options) -> datetime:
        """Once all nodes have ended, have ticks take what they left; return up to when all is taken.

        What a killed node held is taken over once it is stale, so this may take more than one tick.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            now = clock.now("default")
            options = {**AFTERWARDS, "log": self.folder / "afterwards.log", **options}
            with nodes(("cron", "--skip-checks"), **options) as (tick,):
                assert tick.wait(PATIENCE) == 0, tick.output[-4000:]
            if not Job.objects.filter(next_run__lte=now).exists():
                self.unlock_dead()
                return now
            assert time.monotonic() < deadline, f"{self.started()} runs, and some are still to be taken"
            time.sleep(0.2)

    def unlock_dead(self) -> None:
        """Do what a person may do about runs that are known to be gone, instead of waiting for the jobs' next slots."""
        for job in Job.objects.filter(lock__isnull=False):
            if not holding.unlock(job, "the storm"):
                # It was not gone, but stalled for all that time, and has ended meanwhile.
                assert Job.objects.get(pk=job.pk).lock is None

    def verdict(self, until: datetime | None = None) -> ledger.Verdict:
        """Hold what has happened up to now, or ``until``, against the promises."""
        return ledger.audit(self.jobs, self.evidence, until or clock.now("default"))

    def audit(self, nodes: Fleet | None = None, **options) -> ledger.Verdict:
        """Settle, hold all that has happened against the promises, and count it."""
        verdict = self.verdict(self.settle(**options))
        self.count(verdict, nodes)
        return verdict

    def count(self, verdict: ledger.Verdict, nodes: Fleet | None = None) -> None:
        """Put the verdict into the tally."""
        self.tally.add(
            slots=verdict.slots,
            takeovers=verdict.takeovers,
            duplicates=verdict.duplicates,
            unaccounted=verdict.unaccounted,
            nodes=nodes.started if nodes else 0,
            kills=nodes.kills if nodes else 0,
        )

    def next_round(self) -> ledger.Verdict:
        """Hold a round against the promises in which :meth:`all_taken` is true; the nodes stay for the next one."""
        self.unlock_dead()
        verdict = self.verdict(self.taken_by)
        self.count(verdict)
        self.rounds += 1
        Log.objects.all().delete()
        Job.objects.all().delete()
        self.jobs = []
        return verdict


def killing(storm: Storm, nodes: Fleet, dice: random.Random, every: int) -> Callable[[], None]:
    """Return what kills a worker, a node, or a node with its workers, each time that so many runs have begun."""
    killed_at = 0

    def kill() -> None:
        nonlocal killed_at
        # By the runs, not by the clock: on a slow machine, all nodes would be dead before one of them has begun.
        if storm.progress() > killed_at + every:
            killed_at = storm.progress()
            what = dice.choice([nodes.kill_worker, nodes.kill_node, nodes.kill_node_and_workers])
            what(dice)

    return kill


def all_of(nodes: Fleet) -> set[str]:
    """Return the names of the fleet's nodes."""
    return {f"node-{n}" for n in range(1, nodes.number + 1)}


def assert_kept(verdict: ledger.Verdict) -> None:
    """Fail unless all promises were kept."""
    assert not verdict.faults, "\n".join(verdict.faults[:20])
    assert verdict.duplicates == verdict.unaccounted == 0


def slots_wanted() -> int:
    """Return how many slots the storm of random kills is to race."""
    return int(os.environ.get("CRONKITE_PROOF_SLOTS", "500"))


def is_long() -> bool:
    """Tell whether this proof is a long one, in which a storm may take minutes."""
    return "CRONKITE_PROOF_SLOTS" in os.environ


__all__ = [
    "LOCK_TIMEOUT",
    "LONG_LOCK_TIMEOUT",
    "MOST_DUE",
    "PATIENCE",
    "Storm",
    "all_of",
    "assert_kept",
    "fleet",
    "is_long",
    "killing",
    "slots_wanted",
]
