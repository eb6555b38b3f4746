"""Does it matter how many rows the log has?

Writing a log row (an INSERT by Django's ORM, with the row's job, slot and fencing token) and asking for the due jobs
(the query of a tick, of which a hundredth of a thousand jobs are due) are timed at an empty log and at a very long one,
which the database fills by itself. The rows are written in one transaction, so that it is the indexes that are timed
and not the disk's answer to a COMMIT; a round's value is the median of the single times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import transaction

from benchmarks import project
from benchmarks.bench import Bench, Reading
from benchmarks.stats import median
from cronkite import clock
from cronkite.models import Job, Log

JOBS = 1000
DUE = 10


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure all rounds: at the empty log first, and then at the long one."""
    project.fresh()
    project.add_idle_jobs(JOBS - DUE)
    project.add_due_jobs(DUE)
    jobs = list(Job.objects.order_by("id"))
    project.settle()
    yield from _rounds(bench, jobs, "none", 0)
    each = max(1, bench.sizes.logs // JOBS)
    bench.say(f"filling the log with {each * JOBS:,} rows")
    began = time.monotonic()
    project.add_logs([job.pk for job in jobs], each)
    project.settle()
    bench.say(f"it took {time.monotonic() - began:.0f} s")
    yield from _rounds(bench, jobs, "most", each * JOBS)


def _rounds(bench: Bench, jobs: list[Job], key: str, rows: int) -> Iterator[Reading]:
    for turn in range(bench.rounds):
        now = clock.now("default")

        def write(n: int, now=now, turn=turn) -> None:
            job = jobs[n % len(jobs)]
            number = 1_000_000_000 + turn * bench.sizes.asks + n
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
            raw = _microseconds(write, bench.sizes.asks)
            transaction.set_rollback(True)
        yield Reading(f"log.write.{key}", f"a log row written at {rows:,} rows", median(raw), "µs")
        raw = _microseconds(lambda _: list(Job.objects.queue()), bench.sizes.asks)
        yield Reading(f"log.due.{key}", f"due jobs found at {rows:,} rows of the log", median(raw), "µs")


def _microseconds(call: Callable[[int], object], times: int) -> list[float]:
    raw = []
    # The first are left out: caches fill, and the driver prepares itself.
    for n in range(times + 5):
        began = time.perf_counter()
        call(n)
        raw.append((time.perf_counter() - began) * 1e6)
    return raw[5:]
