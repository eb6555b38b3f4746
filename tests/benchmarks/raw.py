"""``python -m benchmarks.raw WORKER WORKERS BATCH``: what the database itself allows, by the driver alone.

For each job a claim (UPDATE of the job, INSERT of the log, COMMIT) and an end (UPDATE of both, COMMIT), on cronkite's
own tables with their indexes and constraints, on a connection as the project opens it. There is no process for the run,
no search for the next slot, and no job that two want: WORKERS processes have their own jobs each. With a BATCH, so many
jobs are claimed by one transaction. It says when it is ready, and begins when stdin ends.
"""

from __future__ import annotations

import sys
import uuid
from datetime import timedelta
from typing import Any

import django
from django.db import connection

NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "REPLACE(STRFTIME('%Y-%m-%d %H:%M:%f000', 'NOW'), '.000000', '')",
}
TAKE = (
    "UPDATE cronkite_job SET {lock} = ?, locked_by = ?, locked_at = {now}, last_slot = next_run, next_run = ?, "
    "fence = fence + 1 WHERE id IN ({places}) AND next_run = ? AND {lock} IS NULL"
)
RECORD = (
    "INSERT INTO cronkite_log (job_id, job_name, {function}, slot, fence, node, status, created, started_at, output, "
    "exc_info, missed, reason) VALUES {rows}"
)
ROW = "(?, ?, ?, ?, ?, ?, 'running', {now}, {now}, '', '', 0, '')"
FREE = "UPDATE cronkite_job SET {lock} = NULL, locked_by = '', locked_at = NULL WHERE id = ? AND {lock} = ?"
END = "UPDATE cronkite_log SET status = 'succeeded', finished_at = {now} WHERE job_id = ? AND slot = ?"


class Loop:
    """The loop over some jobs."""

    def __init__(self, batch: int) -> None:
        from cronkite.models import Job

        connection.ensure_connection()
        self.driver: Any = connection.connection
        self.cursor = self.driver.cursor()
        self.is_sqlite = connection.vendor == "sqlite"
        if self.is_sqlite:
            # Begun and committed by hand, as the first statement has to be the write.
            self.driver.isolation_level = None
        else:
            connection.set_autocommit(False)
        fields = {name: Job._meta.get_field(name) for name in ("lock", "next_run")}
        self.token = fields["lock"].get_db_prep_save(uuid.uuid4(), connection)
        self.adapt = lambda slot: fields["next_run"].get_db_prep_save(slot, connection)
        self.take = self._sql(TAKE, places=", ".join("?" * batch))
        self.record = self._sql(RECORD, rows=", ".join([ROW] * batch))
        self.free, self.end = self._sql(FREE), self._sql(END)

    def _sql(self, template: str, **more: str) -> str:
        quote = connection.ops.quote_name
        now = NOW[connection.vendor]
        sql = template.format(lock=quote("lock"), function=quote("function"), now="{now}", **more).format(now=now)
        return sql if self.is_sqlite else sql.replace("%", "%%").replace("?", "%s")

    def begin(self) -> None:
        """Begin a transaction; the other drivers do it by themselves."""
        if self.is_sqlite:
            self.cursor.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit it."""
        if self.is_sqlite:
            self.cursor.execute("COMMIT")
        else:
            self.driver.commit()

    def run(self, jobs: list[Any]) -> None:
        """Claim the jobs together, and end each by itself."""
        slot = self.adapt(jobs[0].next_run)
        following = self.adapt(jobs[0].next_run + timedelta(days=1))
        self.begin()
        self.cursor.execute(self.take, [self.token, "raw", following, *(job.pk for job in jobs), slot])
        assert self.cursor.rowcount == len(jobs)
        self.cursor.execute(
            self.record,
            [value for job in jobs for value in (job.pk, job.name, job.function, slot, job.fence + 1, "raw")],
        )
        self.commit()
        for job in jobs:
            self.begin()
            self.cursor.execute(self.free, [job.pk, self.token])
            self.cursor.execute(self.end, [job.pk, slot])
            self.commit()


def main(worker: int, workers: int, batch: int) -> None:
    """Do this worker's share of the jobs."""
    django.setup()
    from cronkite.models import Job

    jobs = list(Job.objects.order_by("id"))
    share = len(jobs) // workers
    jobs = jobs[worker * share :] if worker == workers - 1 else jobs[worker * share : (worker + 1) * share]
    loop = {len(jobs) % batch: Loop(len(jobs) % batch or batch), 0: Loop(batch)} if batch > 1 else {0: Loop(1)}
    print("ready", flush=True)
    sys.stdin.read()
    whole = len(jobs) - len(jobs) % batch
    for first in range(0, whole, batch):
        loop[0].run(jobs[first : first + batch])
    if whole < len(jobs):
        loop[len(jobs) % batch].run(jobs[whole:])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
