"""Which jobs is a peer to run? What is said of them in the environment of its processes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone

VARIABLE = "CRONKITE_BENCH_JOBS"


@dataclass(frozen=True)
class Jobs:
    """So many jobs that are alike: a crontab expression in UTC, and the file that each run appends to.

    Each calls :func:`benchmarks.peers.jobs.mark` with the file and the job's number. When they ran last
    (ISO 8601) is for peers that are to catch up; else they never ran.
    """

    number: int
    crontab: str
    evidence: str
    last_run: str | None = None

    def as_environment(self) -> dict[str, str]:
        """Return what :func:`get` reads."""
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def fields(self) -> list[str]:
        """The fields of the expression: minute, hour, day, month, weekday, and perhaps second."""
        return self.crontab.split()

    def first_slot(self) -> datetime:
        """Return the first slot from now on: of a fixed minute and hour, or of each minute or second."""
        now = datetime.now(timezone.utc).replace(microsecond=0)
        if len(self.fields) > 5:
            return now + timedelta(seconds=1)
        now = now.replace(second=0)
        if self.crontab == "* * * * *":
            return now + timedelta(minutes=1)
        slot = now.replace(minute=int(self.fields[0]), hour=int(self.fields[1]))
        return slot if slot >= now else slot + timedelta(days=1)


def get() -> Jobs:
    """Return the jobs that this process's environment tells of."""
    return Jobs(**json.loads(os.environ.get(VARIABLE, '{"number": 0, "crontab": "", "evidence": ""}')))
