"""What do the rows of django-celery-beat become?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from cronkite.importing import celery_schedules, instants, tables
from cronkite.importing.planned import Given, NothingToRead, Plan, Planned
from cronkite.schedules import get as get_schedule

TITLE = "django-celery-beat"
WHERE = ""
TAKES: tuple[str, ...] = ()
AWAY = "Disable the rows in the admin, under Periodic Tasks, and stop `celery beat` when there are no others."

KINDS = ("crontab", "interval", "clocked", "solar")
MODEL = "django_celery_beat.PeriodicTask"


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each periodic task."""
    rows = tables.rows(MODEL).select_related(*KINDS)
    try:
        known = celery_schedules.app().tasks
    except Exception as error:
        raise NothingToRead(f"Celery's app can't be had: {type(error).__name__}: {error}") from error
    for row in rows.iterator(chunk_size=tables.CHUNK):
        yield _planned(row, known, given.now)


def _planned(row: Any, known: Any, now: datetime) -> Planned:
    plan = Plan(TITLE, row.name, key=row.name)
    plan.columns |= {"description": row.description, "enabled": row.enabled}
    kinds = [kind for kind in KINDS if getattr(row, kind) is not None]
    if len(kinds) != 1:
        plan.problems.append("It has no schedule." if not kinds else f"It has several schedules: {', '.join(kinds)}.")
        return plan.done()
    schedule = getattr(row, kinds[0])
    if kinds == ["clocked"] and schedule.clocked_time <= now:
        return Planned(
            TITLE, row.name, None, f"It was to run once, at {schedule.clocked_time.isoformat()}: that is past."
        )
    if row.expires is not None and row.expires <= now:
        return Planned(TITLE, row.name, None, f"It was to end at {row.expires.isoformat()}: that is past.")
    if row.one_off and row.total_run_count:
        return Planned(TITLE, row.name, None, "It was to run once, and it has.")
    if kinds == ["clocked"]:
        instants.put_at(plan, schedule.clocked_time)
    elif kinds == ["solar"]:
        plan.problems.append("It goes by the sun, and no schedule here does.")
    else:
        try:
            zone = str(schedule.timezone) if kinds == ["crontab"] else ""
            celery_schedules.put_schedule(plan, schedule.schedule, zone)
        except (ValueError, TypeError, OverflowError) as error:
            plan.problems.append(f"Its schedule can't be read: {error}.")
        if row.one_off and not plan.problems:
            _put_once(plan, kinds[0], now)
    _put_rest(plan, row, known)
    return plan.done()


def _put_once(plan: Plan, kind: str, now: datetime) -> None:
    """Have a task that is to run once run at its next time, and no more."""
    if kind == "interval":
        plan.problems.append("It runs once, so long after it was made. Give it a clocked schedule, and import it then.")
        return
    zone = plan.columns["timezone"] or settings.TIME_ZONE
    instants.put_at(plan, get_schedule(plan.columns["schedule"], zone).next_after(now))
    plan.notes.append("It runs once, at the next time of its crontab.")
    if not plan.columns["enabled"]:
        # Celery beat leaves nothing else behind of those.
        plan.notes.append("It is disabled there, as those are that have run: enable it only if it is still to run.")


def _put_rest(plan: Plan, row: Any, known: Any) -> None:
    try:
        args, kwargs, headers = (json.loads(text or empty) for text, empty in _texts(row))
    except ValueError as error:
        plan.problems.append(f"Its arguments are no JSON: {error}.")
    else:
        celery_schedules.put_task(plan, known, row.task, args, kwargs)
        options = {"queue": row.queue, "priority": row.priority, "expires": row.expire_seconds, "headers": headers}
        celery_schedules.put_options(plan, options | {"exchange": row.exchange, "routing_key": row.routing_key})
    if row.expires is not None:
        plan.notes.append(f"It ends at {row.expires.isoformat()}: disable the job then.")
    if row.start_time is not None:
        plan.notes.append(f"It begins at {row.start_time.isoformat()}: enable the job then, and not before.")
    if row.last_run_at is not None:
        plan.notes.append(f"It was last sent at {row.last_run_at.isoformat()}.")


def _texts(row: Any) -> list[tuple[str, str]]:
    return [(row.args, "[]"), (row.kwargs, "{}"), (row.headers, "{}")]
