"""A claim as a node makes it: what is due is read, decided on, and taken."""

from __future__ import annotations

from datetime import timedelta

from conftest import due

from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.models import Job
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp


def decide(job):
    return catch_up.decide(job.get_schedule(), CatchUp(job.catch_up), job.get_grace(), job.pending, job.now)


def claim(job, node="node"):
    """Claim what is due of ``job``, as a node would that reads it now."""
    read = due(job)
    assert read is not None, "the job is not due"
    return claiming.claim(read, decide(read), node)


def make_stale(job, seconds=3600):
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(seconds=seconds))
