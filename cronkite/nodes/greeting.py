"""What does a loop say of itself when it starts?

Who it is, how many jobs it has and what comes next: the first thing that a person looks for in a container's log.
"""

from __future__ import annotations

import logging

from django.db import Error, connections
from django.db.models import Count, Q

import cronkite
from cronkite import conf
from cronkite.models import Job, primary
from cronkite.models.queries import is_free, may_run
from cronkite.schedules.durations import in_short

#: A logger of its own, so that it can be seen where nothing else of INFO is.
logger = logging.getLogger("cronkite.loop")


def say(workers: int) -> None:
    """Log it at INFO. Two queries; a database that does not answer is told of, and keeps no node from starting."""
    node = f"Node {conf.get().node} ticks."
    by = f"{workers} worker{'s' * (workers != 1)}" if workers else "no workers (runs take place in this process)"
    try:
        jobs = _jobs()
    except Error as error:
        connections[primary.alias()].close()
        jobs = f"The database does not tell of jobs: {str(error).strip()}"
    logger.info("%s It is django-cronkite %s with %s. %s", node, cronkite.__version__, by, jobs)


def _jobs() -> str:
    jobs = Job.objects.using(primary.alias())
    counts = jobs.aggregate(all=Count("pk"), enabled=Count("pk", filter=Q(enabled=True)))
    if not counts["all"]:
        return "There are no jobs yet: declare one in an app's crontab.py and run `manage.py migrate`, or add one."
    said = f"{counts['all']} job{'s' * (counts['all'] != 1)}, {counts['enabled']} enabled."
    free = jobs.filter(is_free(conf.get().lock_timeout), may_run())
    coming = free.filter(due_at__isnull=False).with_now().order_by("due_at", "id").first()
    return f"{said} {_next(coming)}" if coming else f"{said} Nothing is to come."


def _next(job: Job) -> str:
    if job.is_asked:
        return f"Next: {job.name!r}, asked for by {job.asked_by}."
    # Of a one-off whose slot has been, there may be a retry.
    at = job.next_run or job.retry_at
    assert at is not None
    seconds = (at - job.now).total_seconds()
    when = f"in {in_short(seconds)}" if seconds > 0 else f"due for {in_short(seconds)}"
    return f"Next: {job.name!r} at {at:%Y-%m-%d %H:%M:%S} UTC, {when}."
