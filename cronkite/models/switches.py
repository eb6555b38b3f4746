"""How are many jobs enabled or disabled at once? As by ``save()``, one after the other, but in few statements.

A job that owes no slot needs no look of its own: one condition says so for hundreds. What owes some is saved by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db import connections
from django.db.models import Case, DateTimeField, F, Q, Value, When
from django.db.models.functions import Cast

from cronkite.database import clock
from cronkite.exceptions import CronkiteError
from cronkite.models import told
from cronkite.models.queries import NO_RETRY, JobQuerySet
from cronkite.models.rhythm import SEEDED_BY
from cronkite.schedules import chosen

if TYPE_CHECKING:
    from cronkite.models.jobs import Job

#: Columns that say when a job runs, each with what it holds.
Columns = tuple[tuple[str, str | None], ...]

#: How many jobs are switched by one statement, which names each schedule twice: SQLite takes no deeper expression.
PART = 200


class Switched(NamedTuple):
    """Which jobs were switched, and which could not be, each with the reason."""

    jobs: list[Job]
    refused: list[tuple[Job, CronkiteError]]


def switch(jobs: Sequence[Job], *, on: bool, using: str) -> Switched:
    """Enable the jobs, or disable them, those that are not yet. Raises :class:`django.db.DatabaseError`."""
    asked = [job for job in jobs if job.enabled is not on]
    done: list[Job] = []
    refused: list[tuple[Job, CronkiteError]] = []
    way: Callable[[list[Job], JobQuerySet], None] = _enable if on else _disable
    for start in range(0, len(asked), PART):
        part = asked[start : start + PART]
        rows = type(part[0]).objects.using(using).filter(pk__in=[job.pk for job in part])
        if len(part) > 1:
            way(part, rows)
        together = len(part) > 1
        left = set(rows.filter(enabled=not on).values_list("pk", flat=True))
        for job in part:
            job.enabled = on
            try:
                if job.pk in left:
                    job.save(using=using, update_fields=["enabled"])
                elif together:
                    told.edited(job, "changed", ("enabled",), using)
            except CronkiteError as error:
                refused.append((job, error))
            else:
                done.append(job)
    return Switched(done, refused)


def _disable(part: list[Job], rows: JobQuerySet) -> None:
    """Disable those that owe nothing: their next slot is yet to come."""
    idle = rows.filter(enabled=True, next_run__gt=clock.Now())
    idle.write(enabled=False, next_run=None, planned_at=clock.Now(), revision=F("revision") + 1, **NO_RETRY)


def _enable(part: list[Job], rows: JobQuerySet) -> None:
    """Enable those whose slots are all over, each with the next slot of its schedule: a disabled job owes nothing."""
    now = clock.now(rows.db)
    fits, slots = Q(pk__in=()), []
    for columns, keys, next_run in _plans(part, now):
        # The schedule by which that slot was found is still the job's.
        same = Q(*columns, pk__in=keys)
        fits |= same
        slots.append(When(same, then=Value(next_run, output_field=DateTimeField())))
    if not slots:
        return
    next_runs: Case | Cast = Case(*slots, output_field=DateTimeField())
    if connections[rows.db].features.requires_casted_case_in_updates:
        next_runs = Cast(next_runs, output_field=DateTimeField())
    over = Q(last_slot__isnull=True) | Q(last_slot__lte=now)
    rows.filter(over, fits, enabled=False).write(
        enabled=True, next_run=next_runs, planned_at=now, revision=F("revision") + 1
    )


def _plans(part: list[Job], now: datetime) -> Iterator[tuple[Columns, list[int], datetime]]:
    """Return each schedule with the keys of the jobs that have it, and its next slot; none for one that is broken."""
    keys: defaultdict[Columns, list[Job]] = defaultdict(list)
    for job in part:
        names = ("schedule", "timezone", *(SEEDED_BY if chosen.is_in(job.schedule) else ()))
        keys[tuple((name, getattr(job, name)) for name in names)].append(job)
    for schedule, jobs in keys.items():
        try:
            next_run = jobs[0].get_schedule().next_after(now)
        except CronkiteError:
            continue  # whoever saves them is told
        yield schedule, [job.pk for job in jobs], next_run
