"""How does a person have a job run by the next node that looks?

A request is a mark on the job's row, so there is at most one, and nodes see it in the query that tells them what is
due: it costs nothing while there is none. :mod:`cronkite.claims.claiming` takes the mark off in the very UPDATE that
claims the job for it. The request for a job that is locked waits until it is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F

from cronkite.database.clock import Now
from cronkite.models import Job, primary
from cronkite.models.queries import CHUNK

#: The length of the column that holds who asked, in characters.
LONGEST_NAME = 255


def ask(job: Job, by: str) -> bool:
    """Have ``job`` run soon, on one node, without a slot; ``False`` if a request for it waits already, or it is gone.

    Ticks take it within a minute, loops within 12 seconds; it makes no difference whether the job is enabled.
    ``by`` says who asks, and is kept in the log of the run. Raises :class:`django.db.DatabaseError`.
    """
    unasked = Job.objects.using(primary.alias()).filter(pk=job.pk, asked_at__isnull=True)
    return bool(unasked.write(asked_at=Now(), asked_by=by[:LONGEST_NAME]))


def ask_with(job: Job, by: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Do :func:`ask` for one run with these arguments instead of the job's own, which stay as they are.

    They are not judged here: see :meth:`Job.clean_fields <cronkite.models.Job.clean_fields>`. Nodes whose code is older
    than this would run the job with its own.
    """
    unasked = Job.objects.using(primary.alias()).filter(pk=job.pk, asked_at__isnull=True)
    return bool(
        unasked.write(
            asked_at=Now(),
            asked_by=by[:LONGEST_NAME],
            asked_with={"args": args, "kwargs": kwargs},
            asked_with_at=Now(),
            # Whoever has read the row before may not claim it for this request: it has other arguments.
            revision=F("revision") + 1,
        )
    )


def withdraw(job: Job) -> bool:
    """Take back what was asked for; ``False`` if nothing waits, as when a node has taken it."""
    asked = Job.objects.using(primary.alias()).filter(pk=job.pk, asked_at__isnull=False)
    return bool(
        asked.write(asked_at=None, asked_by="", asked_with=None, asked_with_at=None, revision=F("revision") + 1)
    )


def ask_all(jobs: Sequence[Job], by: str) -> list[Job]:
    """Do :func:`ask` for each of many jobs, in few statements; return those of which no request was waiting before."""
    unasked = [job for job in jobs if not job.is_asked]
    asked: list[Job] = []
    for start in range(0, len(unasked), CHUNK):
        part = unasked[start : start + CHUNK]
        rows = Job.objects.using(primary.alias()).filter(pk__in=[job.pk for job in part], asked_at__isnull=True)
        if rows.write(asked_at=Now(), asked_by=by[:LONGEST_NAME]) == len(part):
            asked += part
        else:
            # Somebody else asked for some of them meanwhile, or they are gone.
            mine = Job.objects.using(primary.alias()).filter(pk__in=[job.pk for job in part], asked_at__isnull=False)
            mine = mine.filter(asked_by=by[:LONGEST_NAME])
            keys = set(mine.values_list("pk", flat=True))
            asked += [job for job in part if job.pk in keys]
    return asked
