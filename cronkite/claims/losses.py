"""Which runs are lost with stale locks, and of which can that not be written, as another transaction has their logs?

Whoever clears a stale lock marks the run that held it, in the same transaction. As no claim waits for the row of a job
that somebody else has locked, none waits for such a log: both are locked at once, or the lock stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cronkite.database import waits
from cronkite.models import Job, Log


def with_locks_of(jobs: Collection[Job], using: str) -> dict[int, int]:
    """Return the logs of the runs that are lost if the locks are taken over that these jobs had when they were read."""
    return running([job.pk for job in jobs if job.is_locked], using)


def running(job_ids: Collection[int], using: str) -> dict[int, int]:
    """Return the logs of the runs that hold the locks of these jobs: the keys of their jobs, by their own.

    Where nothing may be read before the first lock of a claim, it is asked before that begins. One query, if there are
    jobs.
    """
    if not job_ids:
        return {}
    logs = Log.objects.using(using).filter(job__in=job_ids, status=Log.Status.RUNNING)
    return dict(logs.values_list("pk", "job"))


def lock_available(job_ids: Collection[int], logs: Mapping[int, int], using: str) -> set[int]:
    """Lock the rows of these jobs, and the ``logs`` that are lost with their locks, until the transaction ends.

    Return the keys of the jobs of which no other transaction has locked the row or such a log; wait for nobody. One
    statement. Where rows can't be skipped, none is locked, and all are returned.
    """
    rows, free = waits.lock_all_available([(Job, job_ids), (Log, logs)], using)
    return rows - {logs[key] for key in logs.keys() - free}
