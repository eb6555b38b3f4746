"""Code of the project that locks rows of jobs and of logs, at random, and goes on with something else."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connections, transaction

from cronkite.exceptions import CronkiteError
from cronkite.models import Job, Log

#: How long (seconds) a transaction is open at most.
LONGEST = 5.0


def lock_row(job: Job) -> None:
    """As a job that works on jobs."""
    Job.objects.select_for_update().get(pk=job.pk)


def lock_logs(job: Job) -> None:
    """As a report that wants to see nothing change."""
    list(Log.objects.select_for_update().filter(job=job))


def edit(job: Job) -> None:
    """As a view of the admin's, under ATOMIC_REQUESTS, that does more."""
    edited = Job.objects.get(pk=job.pk)
    edited.description = "edited"
    edited.save()


def run(job: Job) -> None:
    """As a view that runs the job, under ATOMIC_REQUESTS, and fails in the end."""
    # It is a job of a storm, which has to have a slot.
    with suppress(AttributeError):
        Job.objects.get(pk=job.pk).run()


WAYS = (lock_row, lock_logs, edit, run)


class Holders:
    """Threads, each of which has a transaction open most of the time. ``counts`` says how often which way was taken."""

    def __init__(self, jobs: list[Job], number: int, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.seed = seed
        self._jobs = jobs
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(random.Random(seed + n),)) for n in range(number)]

    def __str__(self) -> str:
        return f"holders with seed {self.seed}: {dict(self.counts)}"

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all transactions, and return when that is done."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, dice: random.Random) -> None:
        try:
            while not self._over.is_set():
                # Another one may have the row, the job be locked, or the database part two that wait for each other.
                with suppress(DatabaseError, CronkiteError):
                    self._hold(dice.choice(WAYS), dice.choice(self._jobs), dice.uniform(0, LONGEST))
                self._over.wait(dice.uniform(0, 0.5))
        finally:
            connections.close_all()

    def _hold(self, way: Callable[[Job], None], job: Job, seconds: float) -> None:
        with transaction.atomic():
            way(job)
            self.counts[way.__name__] += 1
            self._over.wait(seconds)
            transaction.set_rollback(True)


@contextmanager
def at_work(jobs: list[Job], number: int = 3) -> Iterator[Holders]:
    """Have transactions lock rows of these jobs, and of their logs, during the block."""
    holders = Holders(jobs, number, random.randrange(10**6))
    holders.start()
    try:
        yield holders
    finally:
        holders.stop()
