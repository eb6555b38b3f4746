"""How long after its slot does a function begin, on a node that stays?

``manage.py cron loop`` runs one job each second, which writes the time when it reaches its first line. The node, its
database and the job share this machine's clock. The first slot is left out, for which the node makes its worker
process. This without other jobs, and with very many in the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from benchmarks import project
from benchmarks.bench import Bench, Reading, marks
from benchmarks.processes import running, until
from benchmarks.stats import percentile
from cronkite.database import clock

PATIENCE = 60.0


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    for key, others in (("start", 0), ("start.most", bench.sizes.most)):
        project.fresh()
        project.add_idle_jobs(others)
        project.settle()
        raw = _latencies(bench, bench.sizes.slots)
        beside = f", {others:,} other jobs" if others else ""
        for percent in (50, 99):
            title = f"start after the slot{beside}, p{percent}"
            yield Reading(f"{key}.p{percent}", title, percentile(raw, percent), "ms", raw if percent == 50 else ())


def _latencies(bench: Bench, slots: int) -> list[float]:
    path = bench.file("marks")
    first = clock.now("default").replace(microsecond=0) + timedelta(seconds=2)
    project.add_jobs(1, "* * * * * *", first, "app.benched.mark", args=[str(path)])
    with running(bench.manage("cron", "loop", "--workers", "4")) as (node,):
        until(lambda: len(marks(path)) > slots, PATIENCE + 2 * slots, f"{slots} slots had run", node)
    return [(began - slot) * 1000 for began, slot in marks(path)[1 : slots + 1]]
