"""What does a node that stays cost while nothing is due, and does it grow?

``manage.py cron loop`` is watched for a minute: processor time of its processes, statements (each is noted by the node
itself, see :mod:`app.counting`), and resident memory against ``manage.py bare --stay``, a Django process of the same
project that has opened the connection and read one row. Then a burst warms it up, and its memory is read again after
another one: the node's own, and that of the node with its workers (PSS, where shared memory counts once). The first is
as long as the second, for a worker shares ever less with its node until another takes its place.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

from benchmarks import footprint, project
from benchmarks.bench import Bench, Reading
from benchmarks.processes import Process, running, until

PATIENCE = 60.0
#: A burst slower than this (jobs per second) is given up.
SLOWEST = 20.0
#: Seconds that a node gets to become idle.
CALM = 3.0


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    project.fresh()
    project.add_idle_jobs(bench.sizes.many)
    project.settle()
    bare = bench.manage("bare", "--stay", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with running(bare):
        assert bare.process.stdout is not None
        os.set_blocking(bare.process.stdout.fileno(), False)
        until(bare.process.stdout.read, PATIENCE, "the bare command had read its row", bare)
        yield Reading("rss.bare", "bare Django process, resident memory", footprint.resident(bare.pid), "MB")
    statements = bench.file("statements")
    environment = {"CRONKITE_TEST_STATEMENTS": str(statements)}
    with running(bench.manage("cron", "loop", "--workers", "4", environment=environment)) as (node,):
        until(statements.exists, PATIENCE, "the node had looked for jobs", node)
        time.sleep(min(CALM, bench.sizes.idle))
        yield from _watch(bench, node, lambda: statements.stat().st_size)
        yield Reading("rss.idle", "idle loop, resident memory", footprint.resident(node.pid), "MB")
        yield from _exercise(bench, node)


def _watch(bench: Bench, node: Process, statements) -> Iterator[Reading]:
    pids = footprint.family(node.pid)
    began, said, used = time.monotonic(), statements(), footprint.cpu_seconds(pids)
    time.sleep(bench.sizes.idle)
    minutes = (time.monotonic() - began) / 60
    used = footprint.cpu_seconds(footprint.family(node.pid)) - used
    yield Reading("idle.cpu", "idle loop, processor time", used / minutes, "s/min")
    yield Reading("idle.queries", "idle loop, statements", (statements() - said) / minutes, "1/min")


def _exercise(bench: Bench, node: Process) -> Iterator[Reading]:
    runs = bench.sizes.runs
    for key, title in (("warm", f"{runs:,} runs"), ("after", f"{runs:,} more runs")):
        done = project.finished() + runs
        project.add_due_jobs(runs)
        patience = PATIENCE + runs / SLOWEST
        until(lambda done=done: project.finished() >= done, patience, f"{runs} jobs had run", node, pause=0.1)
        time.sleep(min(CALM, bench.sizes.idle))
        yield Reading(f"rss.{key}", f"loop after {title}, resident memory", footprint.resident(node.pid), "MB")
        family = footprint.family(node.pid)
        both = f"loop and its workers after {title}, memory (PSS)"
        yield Reading(f"pss.{key}", both, footprint.proportional(family), "MB")
