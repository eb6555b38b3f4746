"""What does ``manage.py cron`` cost when nothing is due?

It is started in turn with ``manage.py bare``, a command of the same project that opens the connection and reads one
row, and whose system checks are Django's default too. A round's value is the median of the starts: seconds on the wall
from the start of the process to its end, and seconds of the processors, user and system (``wait4``). This at a few, at
many and at very many jobs that are not due, on tables that the database has analysed, as it would have after a minute.
The statements are counted in a start of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import project
from benchmarks.bench import Bench, Reading
from benchmarks.stats import median

PATIENCE = 120.0


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    sizes = bench.sizes
    project.fresh()
    have = 0
    for tier, number in (("few", sizes.few), ("many", sizes.many), ("most", sizes.most)):
        project.add_idle_jobs(number - have)
        have = number
        project.settle()
        used = {"bare": [], "cron": []}
        for command in used:
            bench.run(command).wait(PATIENCE)
        for _ in range(sizes.starts):
            for command, usages in used.items():
                usages.append(bench.run(command).wait(PATIENCE))
        for command, usages in used.items():
            title = "bare command" if command == "bare" else f"idle tick, {number:,} jobs"
            at = f" (at {number:,} jobs)" if command == "bare" else ""
            for kind in ("wall", "cpu"):
                raw = [getattr(usage, kind) * 1000 for usage in usages]
                yield Reading(f"{command}.{tier}.{kind}", f"{title}, {kind}{at}", median(raw), "ms", raw)
        yield Reading(f"cron.{tier}.queries", f"idle tick, {number:,} jobs, statements", _statements(bench), "")


def _statements(bench: Bench) -> int:
    path = bench.file("statements")
    bench.manage("cron", environment={"CRONKITE_TEST_STATEMENTS": str(path)}).wait(PATIENCE)
    return path.stat().st_size
