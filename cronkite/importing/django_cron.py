"""What do the classes in django-cron's ``CRON_CLASSES`` become?

The class stays as it is, and a job calls its ``do()``. Where it runs at several times of the day, it takes a job for
each minute of the hour that they have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings

from cronkite.exceptions import FunctionError
from cronkite.importing import classes, instants
from cronkite.importing.planned import Given, NothingToRead, Plan, Planned

TITLE = "django-cron"
WHERE = ""
TAKES: tuple[str, ...] = ()
AWAY = "Take the classes out of CRON_CLASSES, and `manage.py runcrons` out of the crontab when there are no others."

FUNCTION = "cronkite.importing.classes.do"
#: There Monday is 0.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 60

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each class."""
    dotted_names = getattr(settings, "CRON_CLASSES", None)
    if dotted_names is None:
        raise NothingToRead("The settings have no CRON_CLASSES.")
    for dotted in dotted_names:
        yield from _of_class(str(dotted))


def _of_class(dotted: str) -> Iterator[Planned]:
    name = dotted.rpartition(".")[2]
    try:
        schedule = classes.find(dotted).schedule
        days = _days(schedule)
        times = _times(getattr(schedule, "run_at_times", None) or [])
    except (FunctionError, AttributeError, ValueError) as error:
        yield Planned(TITLE, name, None, "", (f"{str(error).rstrip('.')}.",))
        return
    found = False
    if (minutes := getattr(schedule, "run_every_mins", None)) is not None:
        found = True
        plan = _plan(dotted, f"{dotted} every {minutes} min", name, schedule)
        _put_every(plan, minutes, days)
        yield plan.done()
    for minute, hours in times.items():
        at = f"at {','.join(map(str, hours))}:{minute:02}"
        plan = _plan(dotted, f"{dotted} {at}", f"{name} {at}" if found else name, schedule)
        found = True
        plan.columns["schedule"] = f"{minute} {','.join(map(str, hours))} {' '.join(days)}"
        yield plan.done()
    if not found:
        yield Planned(TITLE, name, None, "", ("Its schedule names no times.",))


def _plan(dotted: str, key: str, name: str, schedule: Any) -> Plan:
    plan = Plan(TITLE, name, key=key)
    plan.call(FUNCTION, [dotted])
    plan.columns["timezone"] = ""
    if (minutes := getattr(schedule, "retry_after_failure_mins", None)) is not None:
        plan.notes.append(
            f"After a failure it was tried again {minutes} min later: give the job retries if it is to be."
        )
    return plan


def _put_every(plan: Plan, minutes: float, days: list[str]) -> None:
    if days == ["*", "*", "*"]:
        instants.put_every(plan, timedelta(minutes=minutes))
        return
    hours, rest = divmod(int(minutes), MINUTES)
    if minutes in range(1, MINUTES) and MINUTES % minutes == 0:
        plan.columns["schedule"] = f"*/{minutes} * {' '.join(days)}"
    elif not rest and hours and not 24 % hours:
        plan.columns["schedule"] = f"0 */{hours} {' '.join(days)}"
    else:
        plan.problems.append(f"Every {minutes} minutes on some days is no schedule here. Name the minutes and hours.")


def _days(schedule: Any) -> list[str]:
    """Return the fields of the days and months."""
    of_month = getattr(schedule, "run_monthly_on_days", None)
    of_week = getattr(schedule, "run_on_days", None)
    if of_week is None:
        of_week = getattr(schedule, "run_weekly_on_days", None)
    if of_month is not None and of_week is not None:
        raise ValueError("There both days must match, and here either does. Name days of the month, or of the week.")
    month = "*" if of_month is None else ",".join(str(int(day)) for day in sorted(of_month))
    week = "*" if of_week is None else ",".join(WEEKDAYS[int(day)] for day in sorted(of_week))
    if not month or not week:
        raise ValueError("It names no day at all, and so never runs.")
    return [month, "*", week]


def _times(times: list[Any]) -> dict[int, list[int]]:
    """Return the hours by the minute."""
    found: dict[int, list[int]] = {}
    for each in times:
        if not (time := _TIME.fullmatch(str(each))):
            raise ValueError(f"{each!r} is no time of the day.")
        hours = found.setdefault(int(time[2]), [])
        if int(time[1]) not in hours:
            hours.append(int(time[1]))
    return {minute: sorted(hours) for minute, hours in sorted(found.items())}
