"""Which slots did a log count as missed, and from when on?"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import ngettext

from cronkite.admin import shown
from cronkite.exceptions import ScheduleError
from cronkite.models import Log
from cronkite.schedules import HORIZON, Schedule
from cronkite.schedules.zones import SECOND


def describe(log: Log) -> str:
    """Return how many slots were missed, and the first of them if that can still be known."""
    count, first = total(log), _first(log)
    if log.status == Log.Status.MISSED:
        words = (
            ngettext("%(count)d slot, up to %(last)s", "%(count)d slots, up to %(last)s", count)
            if first is None
            else ngettext(
                "%(count)d slot, from %(first)s to %(last)s", "%(count)d slots, from %(first)s to %(last)s", count
            )
        )
    elif first is None:
        words = ngettext("%(count)d slot before this one", "%(count)d slots before this one", count)
    else:
        words = ngettext(
            "%(count)d slot before this one, from %(first)s on",
            "%(count)d slots before this one, from %(first)s on",
            count,
        )
    last = shown.plain(log.slot) if log.slot else ""
    return words % {"count": count, "first": shown.plain(first) if first else "", "last": last}


def total(log: Log) -> int:
    """Return how many slots were missed: its own, too, if no run was made of that."""
    return log.missed + (log.status == Log.Status.MISSED)


def _first(log: Log) -> datetime | None:
    """Return the first missed slot; ``None`` if the job has gone, or has been planned anew since."""
    job = log.job
    if job is None or log.slot is None:
        return None
    try:
        schedule = job.get_schedule()
        first = _back(schedule, log.slot, log.missed)
    except (ScheduleError, OverflowError):
        return None
    return first if first and (job.planned_at is None or job.planned_at <= first) else None


def _back(schedule: Schedule, slot: datetime, count: int) -> datetime | None:
    """Return the slot that comes so many before ``slot``; ``None`` if that is no slot of this schedule."""
    if not schedule.is_slot(slot):
        return None
    last = slot - SECOND

    def reaches(seconds: int) -> bool:
        return schedule.count_between(last - timedelta(seconds=seconds), last) >= count

    far = count
    while not reaches(far):
        far *= 2
        if far > HORIZON.total_seconds():
            return None
    near = 0
    while far - near > 1:
        middle = (near + far) // 2
        near, far = (near, middle) if reaches(middle) else (middle, far)
    return last - timedelta(seconds=far - 1)
