"""How long after its process's start does ``manage.py cron`` call the function of a job that is due?

In turn with ``manage.py bare``, which writes the time when it has read its one row: where a command that does by itself
what the job does would begin. A round's value is the median of the starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import project
from benchmarks.bench import Bench, Reading, marks
from benchmarks.stats import median

PATIENCE = 120.0


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    project.fresh()
    raw = {"bare": [], "cron": []}
    # The first of each is left out.
    for _ in range(bench.sizes.starts + 1):
        raw["bare"].append(_bare(bench))
        raw["cron"].append(_cron(bench))
    titles = {
        "bare": "bare command, start to its row read",
        "cron": "manage.py cron, start to the function's first line",
    }
    for command, title in titles.items():
        yield Reading(f"first.{command}", title, median(raw[command][1:]), "ms", raw[command][1:])


def _bare(bench: Bench) -> float:
    path = bench.file("mark")
    process = bench.run("bare", "--mark", str(path))
    process.wait(PATIENCE)
    return (marks(path)[0][0] - process.began) * 1000


def _cron(bench: Bench) -> float:
    path = bench.file("mark")
    project.add_due_jobs(1, "app.benched.mark", args=[str(path)])
    process = bench.run("cron")
    process.wait(PATIENCE)
    return (marks(path)[0][0] - process.began) * 1000
