"""What of a job's columns says when it runs?"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from cronkite import schedules
from cronkite.schedules import chosen

#: The columns that say when a job runs. To change one is to plan the job anew.
RHYTHM = ("schedule", "timezone", "enabled")
#: Those that also do where the schedule says ``H``.
SEEDED_BY = ("name", "declared_as")


def seed(job: Any) -> str:
    """Return the text by which numbers are chosen for the job where its schedule says ``H``.

    It has to be known before the row is, to those who only preview it, and to every node; and be the same for as long
    as there is the job, in each environment that has it. A job that code declares has its function's dotted name,
    whatever people call the job. Another one has its name, as in Jenkins: two jobs may call the same function, and are
    to be apart. The key of a row is known too late, and what tells nobody who looks at the job why it runs when it does
    would need a column, which code of before would leave empty.
    """
    return str(job.declared_as or job.name)


def identity(job: Any) -> tuple[str, str]:
    """Return what the job is known by in each environment that has it: the declared function, or else the name.

    As :func:`seed`, but it tells the two apart. Names need not be unique.
    """
    return (job.declared_as, "") if job.declared_as else ("", job.name)


def schedule(job: Any) -> schedules.Schedule:
    """Return the schedule, in the job's time zone or else the project's; raise :class:`ScheduleError` if none.

    ``job`` may be one as migrations know it, which has columns and nothing else.
    """
    return schedules.get(job.schedule, job.timezone or settings.TIME_ZONE, seed(job))


def of(job: Any) -> tuple[Any, ...]:
    """Return all that says when the job runs: to change any of that is to plan the job anew."""
    return (*(getattr(job, column) for column in RHYTHM), seed(job) if chosen.is_in(str(job.schedule)) else "")
