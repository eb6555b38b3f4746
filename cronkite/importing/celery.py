"""What do the entries of Celery's ``beat_schedule`` become?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings

from cronkite.importing import celery_schedules, commands
from cronkite.importing.planned import Given, NothingToRead, Plan, Planned

TITLE = "Celery's beat_schedule"
WHERE = ""
TAKES: tuple[str, ...] = ()
AWAY = "Take the entries out of beat_schedule, and stop `celery beat` when it has no others."


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each entry."""
    with suppress(ModuleNotFoundError):
        # Where Celery's own guide puts the app of a Django project.
        import_module(f"{commands.settings_module().partition('.')[0] or 'celery'}.celery")
    try:
        app = celery_schedules.app()
        entries = dict(app.conf.beat_schedule or getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {})
    except Exception as error:
        raise NothingToRead(f"Celery's app can't be had: {type(error).__name__}: {error}") from error
    zone = str(app.conf.timezone or ("UTC" if app.conf.enable_utc else settings.TIME_ZONE))
    for name, entry in entries.items():
        yield _planned(str(name), entry, zone, app.tasks)


def _planned(name: str, entry: dict[str, Any], zone: str, known: Any) -> Planned:
    plan = Plan(TITLE, name, key=name)
    try:
        celery_schedules.put_schedule(plan, entry["schedule"], zone)
        celery_schedules.put_task(plan, known, entry["task"], entry.get("args") or (), entry.get("kwargs") or {})
        celery_schedules.put_options(plan, entry.get("options") or {})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        plan.problems.append(f"The entry is not as Celery has it: {type(error).__name__}: {error}")
    return plan.done()
