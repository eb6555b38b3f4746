"""What does ``manage.py cron`` cost when nothing is due?

It is started in turn with ``manage.py bare``, a command of the same project that opens the connection and reads one
row, and whose system checks are Django's default too. A round's value is the median of the starts: seconds on the wall
from the start of the process to its end, and seconds of the processors, user and system (``wait4``). This at a few, at
many and at very many jobs that are not due, each in a database of its own, so that all are measured in turn; in another
order each time, as what was started before leaves the machine and the server some work. The database has analysed its
tables, as it would have after a minute. The statements are counted in a start of their own.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

from benchmarks import project
from benchmarks.bench import Bench, Reading
from benchmarks.beside import Beside, databases
from benchmarks.processes import Usage
from benchmarks.stats import median

PATIENCE = 120.0
COMMANDS = ("bare", "cron")


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    tiers = {"few": bench.sizes.few, "many": bench.sizes.many, "most": bench.sizes.most}
    with databases(*tiers) as made:
        beside = dict(zip(tiers, made, strict=True))
        for tier, database in beside.items():
            with database.used():
                project.add_idle_jobs(tiers[tier])
                project.settle()
        usages = _usages(bench, beside)
        for tier, number in tiers.items():
            for command in COMMANDS:
                title = "bare command" if command == "bare" else f"idle tick, {number:,} jobs"
                at = f" (at {number:,} jobs)" if command == "bare" else ""
                for kind in ("wall", "cpu"):
                    raw = [getattr(usage, kind) * 1000 for usage in usages[tier, command]]
                    yield Reading(f"{command}.{tier}.{kind}", f"{title}, {kind}{at}", median(raw), "ms", raw)
            statements = _statements(bench, beside[tier])
            yield Reading(f"cron.{tier}.queries", f"idle tick, {number:,} jobs, statements", statements, "")


def _usages(bench: Bench, beside: dict[str, Beside]) -> dict[tuple[str, str], list[Usage]]:
    usages = defaultdict(list)
    turns = [(tier, command) for tier in beside for command in COMMANDS]
    # The first start of each is left out.
    for number in range(bench.sizes.starts + 1):
        random.shuffle(turns)
        for tier, command in turns:
            used = bench.run(command, environment=beside[tier].environment).wait(PATIENCE)
            if number:
                usages[tier, command].append(used)
    return usages


def _statements(bench: Bench, database: Beside) -> int:
    path = bench.file("statements")
    environment = {**database.environment, "CRONKITE_TEST_STATEMENTS": str(path)}
    bench.manage("cron", environment=environment).wait(PATIENCE)
    return path.stat().st_size
