"""Which jobs are begun later than their slots come, by their jitter, and so are not to be seen before?

When that is stands in the job's row, from the first look on that sees the slot. Nothing rests on it: a slot is begun
at its time whether or not that was written, and the next look writes what this one could not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from django.db import DatabaseError

from cronkite.database import quirks, waits
from cronkite.models import Job, primary


def put_off(jobs: Iterable[Job]) -> None:
    """Have no node see those of the jobs before their time that are begun later than their slots come.

    A row that another transaction has locked is left as it is: nobody waits for it. One short transaction, if there is
    anything to write. Raises :class:`django.db.DatabaseError` in an outage.
    """
    # In the order of their keys: where rows can't be skipped, two nodes would wait for each other.
    later = sorted((job for job in jobs if _is_to_be_written(job)), key=lambda job: job.pk)
    if not later:
        return
    using = primary.alias()
    try:
        quirks.anew(using, partial(_write, later, using))
    except DatabaseError as error:
        if not quirks.is_conflict(error):
            raise


def _is_to_be_written(job: Job) -> bool:
    return job.next_run not in {job.begins_at, job.jittered_slot}


def _write(jobs: list[Job], using: str) -> None:
    with waits.limited(using):
        available = waits.lock_available(Job, [job.pk for job in jobs], using)
        for job in jobs:
            if job.pk in available:
                rows = Job.objects.using(using).filter(pk=job.pk, next_run=job.next_run)
                rows.write(jittered_slot=job.next_run, jittered_to=job.begins_at)
