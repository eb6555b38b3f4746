"""Does it matter how many rows the log has?

Writing a log row (an INSERT by Django's ORM, with the row's job, slot and fencing token) and asking for the due jobs
(the query of a tick, of which a hundredth of a thousand jobs are due) are timed at an empty log and, in turn, at a very
long one in a database beside it, which the database fills by itself. The rows are written in transactions of many, so
that it is the indexes that are timed and not the disk's answer to a COMMIT, and these are rolled back; a round's value
is the median of the single times.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import transaction

from benchmarks import project
from benchmarks.bench import Bench, Reading
from benchmarks.beside import Beside, databases
from benchmarks.stats import median
from cronkite.database import clock
from cronkite.models import Job, Log

JOBS = 1000
DUE = 10
#: How often a round goes from one database to the other and back.
TURNS = 10


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure all rounds, on the empty log and the long one in turn."""
    each = max(1, bench.sizes.logs // JOBS)
    with databases("none", "most") as (none, most):
        for database, rows in ((none, 0), (most, each)):
            with database.used():
                _fill(bench, rows)
        for _ in range(bench.rounds):
            yield from _round(bench, {"none": (none, 0), "most": (most, each * JOBS)})


def _fill(bench: Bench, each: int) -> None:
    project.add_idle_jobs(JOBS - DUE)
    project.add_due_jobs(DUE)
    if each:
        bench.say(f"filling the log with {each * JOBS:,} rows")
        began = time.monotonic()
        project.add_logs(list(Job.objects.values_list("pk", flat=True)), each)
        bench.say(f"it took {time.monotonic() - began:.0f} s")
    project.settle()


def _round(bench: Bench, logs: dict[str, tuple[Beside, int]]) -> Iterator[Reading]:
    writes, asks = defaultdict(list), defaultdict(list)
    times = max(1, bench.sizes.asks // TURNS)
    for _ in range(TURNS):
        for key, (database, _) in logs.items():
            with database.used():
                writes[key] += _writing(times)
                asks[key] += _microseconds(lambda _: list(Job.objects.queue()), times)
    for key, (_, rows) in logs.items():
        yield Reading(f"log.write.{key}", f"a log row written at {rows:,} rows", median(writes[key]), "µs", writes[key])
        title = f"due jobs found at {rows:,} rows of the log"
        yield Reading(f"log.due.{key}", title, median(asks[key]), "µs", asks[key])


def _writing(times: int) -> list[float]:
    """Return the microseconds that each of so many rows took, which are not kept."""
    jobs = list(Job.objects.order_by("id"))
    now = clock.now("default")

    def write(n: int) -> None:
        job = jobs[n % len(jobs)]
        number = 1_000_000_000 + n
        Log.objects.create(
            job=job,
            job_name=job.name,
            function=job.function,
            slot=now + timedelta(seconds=number),
            fence=number,
            node="node",
            created=now,
            started_at=now,
        )

    with transaction.atomic():
        raw = _microseconds(write, times)
        transaction.set_rollback(True)
    return raw


def _microseconds(call: Callable[[int], object], times: int) -> list[float]:
    raw = []
    # The first are left out: caches fill, and the driver prepares itself.
    for n in range(times + 5):
        began = time.perf_counter()
        call(n)
        raw.append((time.perf_counter() - began) * 1e6)
    return raw[5:]
