"""How are an interval, and a single instant, written as a schedule?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from django.conf import settings

from cronkite.importing.planned import Plan
from cronkite.schedules import every, once

#: What is said of an interval: elsewhere it is counted from the run before.
NOTE = "It is counted from 1970-01-01 00:00 UTC, and not from the last run, so that all nodes agree."


def put_every(plan: Plan, interval: timedelta) -> None:
    """Have the job run each so often."""
    seconds, rest = divmod(interval, timedelta(seconds=1))
    if rest or seconds < 1:
        plan.problems.append(f"Its interval, {interval}, is no number of whole seconds.")
        return
    plan.columns["schedule"] = f"{every.NICKNAME} {every.spell(seconds)}"
    plan.columns["timezone"] = ""
    plan.notes.append(NOTE)


def put_at(plan: Plan, instant: datetime) -> None:
    """Have the job run once, at the first full second that is not before ``instant`` (aware)."""
    if instant.microsecond:
        instant += timedelta(seconds=1) - timedelta(microseconds=instant.microsecond)
    zone = ZoneInfo(settings.TIME_ZONE)
    wall = instant.astimezone(zone).replace(tzinfo=None)
    # One that the clock shows twice, or not at all, has to be told apart.
    is_certain = len({wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}) == 1
    written = wall if is_certain else instant.astimezone(timezone.utc)
    form = "%Y-%m-%dT%H:%M:%S" if written.second else "%Y-%m-%dT%H:%M"
    plan.columns["schedule"] = f"{once.BEGINNING}{written.strftime(form)}{'' if is_certain else 'Z'}"
    plan.columns["timezone"] = ""


def zone_of(zone: str) -> str:
    """Return a time zone as a job has it: empty where it is the project's."""
    return "" if zone == settings.TIME_ZONE else zone
