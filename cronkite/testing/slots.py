"""Which slots come next, of a job or of a schedule?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from cronkite import schedules
from cronkite.code import declarations
from cronkite.database import clock
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, primary
from cronkite.schedules import Schedule
from cronkite.testing import standing


def next_slots(of: Any, count: int = 1, after: datetime | None = None) -> list[datetime]:
    """Return the next ``count`` slots (UTC) after an instant, oldest first; fewer if there are no more.

    ``of`` is a :class:`Job <cronkite.models.Job>`, a :class:`Schedule <cronkite.schedules.Schedule>`, a function that
    is declared as a job, or a crontab expression, which is taken in the project's zone. ``after`` is by default the
    database's now, or where its clock stands. A job's jitter makes no difference: slots are what its schedule names.

    Raises :class:`ScheduleError <cronkite.exceptions.ScheduleError>` for what is no schedule, :class:`TypeError` for
    what has none, and :class:`ValueError` for an instant without a time zone, or a ``count`` below 1.

    >>> from datetime import datetime, timezone
    >>> from cronkite.schedules import Schedule
    >>> saturday = datetime(2026, 3, 28, tzinfo=timezone.utc)
    >>> [f"{slot:%a %H:%M}" for slot in next_slots(Schedule("30 2 * * *", "Europe/Berlin"), 3, after=saturday)]
    ['Sat 01:30', 'Sun 01:00', 'Mon 00:30']
    """
    number: object = count
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"count must be a whole number from 1 up, not {count!r}.")
    schedule = _schedule(of)
    instant = clock.now(primary.alias()) if after is None else standing.instant(after, "after")
    found: list[datetime] = []
    try:
        while len(found) < count:
            instant = schedule.next_after(instant)
            found.append(instant)
    except ScheduleError:
        # It names no more.
        pass
    return found


def _schedule(of: Any) -> Schedule:
    if isinstance(of, Schedule):
        return of
    if isinstance(of, Job):
        return of.get_schedule()
    if isinstance(of, str):
        return schedules.get(of, settings.TIME_ZONE)
    declaration = declarations.of(of)
    if declaration is None:
        raise TypeError(
            f"{of!r} has no schedule: give a job, a Schedule, a function that is declared as a job, or a crontab "
            "expression."
        )
    return schedules.get(declaration.schedule, declaration.timezone or settings.TIME_ZONE, declaration.function)
