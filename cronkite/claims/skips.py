"""Which jobs could not be claimed, and yet nobody else has claimed them?

Another transaction has locked their rows, which a claim skips; or they were edited just then. A claim does not say so:
it says no more than that the job could not be had.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import NamedTuple

from django.db import connections

from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.models import Job
from cronkite.models.primary import alias as database
from cronkite.models.queries import is_free


class Unclaimed(NamedTuple):
    """The jobs that nobody has claimed, as far as is committed, by their keys.

    Those that are ``skipped`` are as they were read; each with whether another transaction has its row locked at this
    moment. Those that are ``edited`` are not as they were read.
    """

    skipped: dict[int, bool]
    edited: set[int]


def unclaimed(jobs: list[Job]) -> Unclaimed:
    """Return which of the jobs, that could not be claimed, nobody else has claimed either.

    Where rows can't be skipped, none was. Raises :class:`django.db.DatabaseError`.
    """
    return quirks.anew(database(), partial(_unclaimed, jobs))


def _unclaimed(jobs: list[Job]) -> Unclaimed:
    using = database()
    connection = connections[using]
    quirks.read_committed(connection)
    rows = Job.objects.using(using).filter(is_free(get_conf().lock_timeout), pk__in=[job.pk for job in jobs])
    found = rows.in_bulk()
    pairs = [(found[job.pk], job) for job in jobs if job.pk in found]
    edited = {job.pk for row, job in pairs if row.revision != job.revision and row.fence == job.fence}
    left = {job.pk for row, job in pairs if _is_as_read(row, job)} if waits.skips(connection) else set()
    locked = _held(left)
    return Unclaimed({key: key in locked for key in left}, edited)


def held(job_ids: Collection[int]) -> set[int]:
    """Return of which of the jobs another transaction has locked the row at this moment; of none where none can.

    To find that out, the others are locked for this moment. In a transaction of the caller's they would stay so, and a
    database that refuses would end it: nothing is asked there. Raises :class:`django.db.DatabaseError`.
    """
    return quirks.anew(database(), partial(_held, job_ids))


def _held(job_ids: Collection[int]) -> set[int]:
    using = database()
    connection = connections[using]
    if not job_ids or not waits.skips(connection) or quirks.is_borrowed(connection):
        return set()
    rest = set(job_ids) - waits.lock_available(Job, job_ids, using)
    # Or they were deleted.
    return set(Job.objects.using(using).filter(pk__in=rest).values_list("pk", flat=True)) if rest else set()


def _is_as_read(row: Job, job: Job) -> bool:
    """Tell whether ``row`` is still what a claim of ``job`` asks for, times and locks aside."""
    if (row.revision, row.fence) != (job.revision, job.fence):
        return False
    if job.is_asked:
        return row.asked_at == job.asked_at
    return row.enabled == job.enabled and row.next_run == job.next_run and (row.enabled or row.is_retry)
