"""How fast are no-op jobs worked off that are all due in one slot?

On tables just made and never analysed. The pace is the number of jobs over the time from the first claim to the last
end, by the database's clock as the logs have it. Measured in turn: the raw driver's loop (:mod:`benchmarks.raw`) in two
processes, and the same in batches of 16; ``manage.py cron`` with different numbers of worker processes, the best of
which counts; and several nodes with one worker each against one node with as many workers, all let go when Django is
set up, for the time until the last end. Of their claims, those that came too late are counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import project
from benchmarks.bench import Bench, Reading
from benchmarks.processes import Barrier, Failed, Process, running, until

#: How long (seconds) starting may take, and how slow (jobs per second) a burst is too slow.
PATIENCE = 120.0
SLOWEST = 20.0


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    number = bench.sizes.burst
    yield Reading("raw.two", "raw driver, two processes", _raw(bench, 2, 1), "jobs/s")
    yield Reading("raw.batches", "raw driver, two processes, claims of 16", _raw(bench, 2, 16), "jobs/s")
    paces = {}
    for workers in bench.sizes.workers:
        pace, _, wall = race(bench, 1, workers)
        paces[workers] = pace
        yield Reading(f"burst.{workers}", f"one node, {workers} workers", pace, "jobs/s")
        yield Reading(f"burst.{workers}.wall", f"one node, {workers} workers, start of Python to last end", wall, "s")
    best = max(paces, key=paces.__getitem__)
    yield Reading("burst.best", f"one node, the best of these ({number:,} jobs)", paces[best], "jobs/s", [best])
    nodes = bench.sizes.nodes
    _, _, wall = race(bench, 1, nodes, at_once=True)
    yield Reading("burst.one", f"one node of {nodes} workers, until the last end", wall, "s")
    pace, late, wall = race(bench, nodes, 1, at_once=True)
    yield Reading("burst.all", f"{nodes} nodes of one worker, until the last end", wall, "s")
    yield Reading("burst.all.pace", f"{nodes} nodes of one worker", pace, "jobs/s")
    yield Reading("burst.late", f"{nodes} nodes of one worker, claims that came too late", late, "of claims")


def race(bench: Bench, nodes: int, workers: int, *, at_once: bool = False) -> tuple[float, float, float]:
    """Let nodes work off a burst; return the pace, the part of the claims that came too late, and the seconds it took.

    These are to the last end, from the start of the processes, or else from when all are ready.
    """
    number = bench.sizes.burst
    project.fresh()
    project.add_due_jobs(number)
    statements = bench.file("statements")
    barrier, started = Barrier(), []
    try:
        for node in range(nodes):
            hold, fds = barrier.options() if at_once else ({}, ())
            counted = {"CRONKITE_TEST_STATEMENTS": str(statements)} if nodes > 1 else {}
            environment = {"CRONKITE_TEST_NODE": f"node-{node}", **hold, **counted}
            started.append(
                bench.manage("cron", "--workers", str(workers), environment=environment, pass_fds=fds, guarded=at_once)
            )
        began = barrier.open(PATIENCE) if at_once else started[0].began
        for process in started:
            process.wait(PATIENCE + number / SLOWEST)
    finally:
        barrier.close()
        with running(*started):
            pass
    pace, last = project.pace(number)
    said = statements.read_bytes() if statements.exists() else b""
    good, late = said.count(b"c"), said.count(b"l")
    if nodes > 1 and good != number:
        raise Failed(f"{number} jobs were claimed, but {good} statements looked like it: is app.counting up to date?")
    return pace, late / (good + late) if good else 0.0, last.timestamp() - began


def _raw(bench: Bench, workers: int, batch: int) -> float:
    number = bench.sizes.burst
    project.fresh()
    project.add_due_jobs(number)
    started = [
        Process(
            [sys.executable, "-m", "benchmarks.raw", str(worker), str(workers), str(batch)],
            bench.environment(DJANGO_SETTINGS_MODULE="settings"),
            bench.file("raw.log"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for worker in range(workers)
    ]
    with running(*started):
        for process in started:
            assert process.process.stdout is not None
            os.set_blocking(process.process.stdout.fileno(), False)
            until(process.process.stdout.read, PATIENCE, "the raw driver was ready", process)
        for process in started:
            assert process.process.stdin is not None
            process.process.stdin.close()
        for process in started:
            process.wait(PATIENCE + number / SLOWEST)
    return project.pace(number)[0]
