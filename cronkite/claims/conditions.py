"""May this node have the job? The conditions of the UPDATE that is the claim: its row count is the verdict."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.db.models.lookups import GreaterThanOrEqual

from cronkite.claims import retries
from cronkite.conf import get as get_conf
from cronkite.database.clock import Now
from cronkite.models import Job
from cronkite.models.queries import JobQuerySet, is_free, is_same, may_retry
from cronkite.schedules.catch_up import Decision


def as_read(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if nobody has edited, claimed or moved it on since it was read."""
    return unchanged(job, using).filter(enabled=True, next_run=job.next_run)


def unchanged(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if nobody has edited it, claimed it or put another in its place."""
    rows = Job.objects.using(using).filter(is_same(job.planned_at))
    return rows.filter(pk=job.pk, revision=job.revision, fence=job.fence)


def claimable(job: Job, decision: Decision, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if its slot and its lock can be had: the condition of the claim."""
    assert decision.slot is not None
    return as_read(job, using).filter(
        is_free(get_conf().lock_timeout),
        Q(last_slot__isnull=True) | Q(last_slot__lt=decision.slot),
        retries.is_none_first(),
        is_due(decision.slot),
    )


def answerable(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if its request and its lock can be had: the condition of that claim.

    Whether it is enabled, and when it is due, makes no difference to whoever asked.
    """
    return unchanged(job, using).filter(is_free(get_conf().lock_timeout), asked_at__isnull=False)


def repeatable(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if its retry and its lock can be had: the condition of that claim.

    A one-off was disabled when its slot was claimed, and is tried again all the same.
    """
    return unchanged(job, using).filter(
        is_free(get_conf().lock_timeout), may_retry(), retry_at=job.retry_at, retry_at__lte=Now()
    )


def is_due(slot: datetime) -> GreaterThanOrEqual:
    """Return the condition that ``slot``, which was decided on by an estimate of the time, has come (promise P5).

    Not that the job's ``next_run`` has: several slots may be due, and the one decided on is not the oldest.
    """
    return GreaterThanOrEqual(Now(), slot)


def lockable(job_id: int, using: str) -> JobQuerySet:
    """Return the query for the row of a job, if its lock can be had: the condition of a run by hand."""
    return Job.objects.using(using).filter(is_free(get_conf().lock_timeout), pk=job_id)
