"""Which time of a job does a person ask about, who names none or says "now"?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cronkite.cli import instants
from cronkite.cli.instants import Asked, NotATime
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.schedules.durations import in_short
from cronkite.schedules.zones import SECOND

NOW = "now"


def meant(job: Job, words: str, zone: str) -> Asked:
    """Return what ``words`` mean: nothing is the last slot, "now" the slot that waits or else the present minute.

    Raises :class:`NotATime`.
    """
    if not words:
        return _last(job)
    if words.lower() != NOW:
        return instants.asked(words, zone, job.now)
    if job.pending is not None and job.pending.next_run <= job.now:
        return Asked([job.pending.next_run], SECOND, None)
    return Asked([job.now.replace(second=0, microsecond=0)], timedelta(minutes=1), None)


def _last(job: Job) -> Asked:
    """Return the newest slot that has come: of the present schedule, or of one before it."""
    slots, problem = [] if job.last_slot is None else [job.last_slot], ""
    try:
        slots.append(job.get_schedule().latest_at(job.now))
    except ScheduleError as error:
        if not job.is_once:
            problem = f" Whether it should have had one cannot be told here: {error}."
        if job.pending is not None and job.pending.next_run <= job.now:
            slots.append(job.pending.next_run)
    if not slots:
        raise NotATime(f"The job has had no slot yet.{problem} Ask for a time, as in 03:00.")
    return Asked([max(slots)], SECOND, None)


def standing(job: Job, zone: str) -> Iterator[str]:
    """Say how the job stands now."""
    if job.is_asked:
        assert job.asked_at is not None
        asked = instants.relative(job.asked_at, job.now)
        yield f"A run was asked for by {job.asked_by}, {asked}, and no node has taken that yet."
    if job.locked_at is not None:
        seen = in_short((job.now - job.locked_at).total_seconds())
        yield f"A run of node {job.locked_by} holds its lock, last seen alive {seen} ago."
        if job.is_stuck:
            yield f"It is stuck. If the run is gone, say `manage.py cron unlock {job.pk}`."
    if job.is_done:
        yield "It is done, as its one slot has been. To have it run once more, give it another time, or ask for a run."
    elif not job.enabled:
        yield f"It is disabled. `manage.py cron enable {job.pk}` has it run by its schedule."
    elif job.next_run is not None:
        yield f"Its next slot is {instants.absolute(job.next_run, zone)}, {instants.relative(job.next_run, job.now)}."
