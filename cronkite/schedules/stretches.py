"""For how long were slots missed, one after another?

Pure rules: no database, no clock, no Django.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from cronkite.exceptions import ScheduleError
from cronkite.schedules.schedule import Schedule
from cronkite.schedules.zones import SECOND


# A stretch that is over does not change, and is asked about again and again.
@lru_cache(maxsize=16384)
def brief(schedule: Schedule, end: datetime, missed: int, most: float) -> float | None:
    """Return how long (seconds) the last ``missed`` slots before ``end`` take, about; ``None`` if longer than ``most``.

    >>> from datetime import timezone
    >>> noon = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
    >>> minutely, secondly, hourly = (Schedule(each, "UTC") for each in ("* * * * *", "* * * * * *", "@hourly"))
    >>> brief(minutely, noon, 1, 60), brief(secondly, noon, 20, 60)
    (60.0, 20.0)
    >>> brief(minutely, noon, 2, 60), brief(hourly, noon, 1, 60)
    (None, None)
    """
    if schedule.is_once:
        return None  # there is no other slot that makes up for it
    if missed > most:  # No two slots are closer than a second.
        return None
    try:
        within = schedule.count_between(end - timedelta(seconds=most) - SECOND, end - SECOND)
    except (ScheduleError, OverflowError):
        return None
    return missed * most / within if missed <= within else None
