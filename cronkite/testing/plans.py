"""From when on do the slots of jobs count that were planned by the real clock?

A test's instant is years before or after the day on which it is run. By its plan, a job that the test's database has
got from ``migrate`` would have no slot there yet, or owe thousands. So it is planned anew, as if it were of that time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Case, F, When

from cronkite.exceptions import ScheduleError
from cronkite.models import Job, primary
from cronkite.testing import standing

#: How old the slot of a new job may be to be due: a crontab's tick is at most so late for it.
TICK = timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)


def bring(at: datetime, since: datetime | None) -> None:
    """Have the jobs be of the time ``at`` that the real clock has planned, if none of their slots was taken yet.

    They count from ``since``, as if they had been saved then. By default, their newest slot is due if it has come in
    the minute before. Jobs that were planned while the clock stood, or whose ``next_run`` a test has written, are left
    alone; and what was asked for by the real clock was asked for at that time.
    """
    using = primary.alias()
    for job in Job.objects.using(using).filter(enabled=True, last_slot=None):
        plan = _plan(job, at, since)
        if plan is not None:
            planned_at, next_run = plan
            standing.stood.add(planned_at)
            rows = Job.objects.using(using).filter(pk=job.pk, revision=job.revision, next_run=job.next_run)
            rows.write(planned_at=planned_at, next_run=next_run, jittered_slot=None, jittered_to=None)
    # In this order: MySQL and MariaDB give the second column its value when the first has its new one.
    asked_with_at = Case(When(asked_with_at=F("asked_at"), then=at), default=F("asked_with_at"))
    Job.objects.using(using).filter(asked_at__gt=at).write(asked_with_at=asked_with_at, asked_at=at)


def _plan(job: Job, at: datetime, since: datetime | None) -> tuple[datetime, datetime] | None:
    """Return since when the job is planned, and its next slot then; ``None`` if it is to be left as it is."""
    if job.planned_at is None or job.planned_at in standing.stood:
        return None
    try:
        schedule = job.get_schedule()
        if job.next_run != schedule.next_after(job.planned_at):
            return None
        if since is not None:
            return since, schedule.next_after(since)
        newest = _newest(job, at)
        if newest is not None and job.begins(newest) > at - TICK:
            return newest - MOMENT, newest
        return at, schedule.next_after(at)
    except ScheduleError:
        # A node says what is wrong with it.
        return None


def _newest(job: Job, at: datetime) -> datetime | None:
    try:
        return job.get_schedule().latest_at(at)
    except ScheduleError:
        return None
