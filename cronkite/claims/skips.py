"""Which jobs could not be claimed, and yet nobody else has claimed them?

Another transaction has locked their rows, their groups' rows, or the logs of runs that would be lost, which a claim
skips; or they were edited just then. A claim does not say so: it says no more than that the job could not be had.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

from django.db import connections, models

from cronkite.claims import losses
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.models import Group, Job, Log
from cronkite.models.primary import alias as database
from cronkite.models.queries import is_free

#: What another transaction has locked, as the log of a node calls it; nothing, if that is not known to be so.
ROW, GROUP, LOG = "its row", "the row of its group", "the log of the run that held its lock"
SOMETHING, NOTHING = "a row that it needs", ""


class Unclaimed(NamedTuple):
    """The jobs that nobody has claimed, as far as is committed, by their keys.

    Those that are ``skipped`` are as they were read; each with what another transaction has locked at this moment.
    Those that are ``edited`` are not as they were read.
    """

    skipped: dict[int, str]
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
    edited = {job.pk for row, job in pairs if not _is_unedited(row, job) and row.fence == job.fence}
    left = {job.pk for row, job in pairs if _is_as_read(row, job)} if waits.skips(connection) else set()
    return Unclaimed(_what_is_held([found[key] for key in left], using), edited)


def in_the_way_of(jobs: list[Job]) -> dict[int, str]:
    """Return what a claim of each of the jobs needs and another transaction has locked at this moment, by their keys.

    That is their row, their group's or the log of a run that would be lost: ``ROW``, ``GROUP`` or ``LOG``, and else
    ``NOTHING``. As :func:`held`. Raises :class:`django.db.DatabaseError`.
    """
    return quirks.anew(database(), lambda: _what_is_held(jobs, database()))


def _what_is_held(jobs: list[Job], using: str) -> dict[int, str]:
    """Return what each of the jobs waits for, by their keys: what of it another transaction has locked."""
    rows = _held(Job, [job.pk for job in jobs])
    rest = [job for job in jobs if job.pk not in rows]
    logs = losses.with_locks_of(rest, using)
    lost = {logs[key] for key in _held(Log, logs)}
    groups = _held_groups({job.group for job in rest if job.group and job.pk not in lost})
    return {
        job.pk: ROW if job.pk in rows else LOG if job.pk in lost else GROUP if job.group in groups else NOTHING
        for job in jobs
    }


def held(job_ids: Collection[int]) -> set[int]:
    """Return of which of the jobs another transaction has locked the row at this moment; of none where none can.

    To find that out, the others are locked for this moment. In a transaction of the caller's they would stay so, and a
    database that refuses would end it: nothing is asked there. Raises :class:`django.db.DatabaseError`.
    """
    return quirks.anew(database(), partial(_held, Job, job_ids))


def held_logs(log_ids: Collection[int]) -> set[int]:
    """Return which of the logs another transaction has locked at this moment, as :func:`held` does of jobs."""
    return quirks.anew(database(), partial(_held, Log, log_ids))


def _held_groups(names: Collection[str]) -> set[str]:
    if not names:
        return set()
    groups = dict(Group.objects.using(database()).filter(name__in=names).values_list("pk", "name"))
    return {groups[key] for key in _held(Group, groups)}


def _held(model: type[Group | Job | Log], keys: Collection[int]) -> set[int]:
    using = database()
    connection = connections[using]
    if not keys or not waits.skips(connection) or quirks.is_borrowed(connection):
        return set()
    rest = set(keys) - waits.lock_available(model, keys, using)
    # Or they were deleted.
    rows: models.QuerySet[Any] = model.objects.using(using)
    return set(rows.filter(pk__in=rest).values_list("pk", flat=True)) if rest else set()


def _is_unedited(row: Job, job: Job) -> bool:
    """Tell whether ``row`` is that of ``job``, as it was read; it may be another's at the same key."""
    return row.revision == job.revision and row.planned_at in {job.planned_at, None}


def _is_as_read(row: Job, job: Job) -> bool:
    """Tell whether ``row`` is still what a claim of ``job`` asks for, times and locks aside."""
    if not _is_unedited(row, job) or row.fence != job.fence:
        return False
    if job.is_asked:
        return row.asked_at == job.asked_at
    return row.enabled == job.enabled and row.next_run == job.next_run and (row.enabled or row.is_retry)
