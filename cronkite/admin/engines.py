"""Where does an engine show its tasks?"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.urls import NoReverseMatch, reverse

from cronkite.code import calls
from cronkite.models import Log

#: Apps that show the tasks of django.tasks in the admin, and their models.
SHOWN = {"django_tasks_db": "DBTaskResult"}


def page(log: Log, site: str, user: Any) -> str:
    """Return the address of the page of the log's task in the admin ``site``; nothing if there is none for ``user``."""
    if log.engine != calls.DJANGO_TASKS:
        return ""
    for app in apps.get_app_configs():
        if app.name in SHOWN and (address := _of_model(app.get_model(SHOWN[app.name]), log, site, user)):
            return address
    return ""


def _of_model(model: Any, log: Log, site: str, user: Any) -> str:
    options = model._meta  # noqa: SLF001 - documented, in spite of its name
    if not any(user.has_perm(f"{options.app_label}.{verb}_{options.model_name}") for verb in ("view", "change")):
        return ""
    # Its key may be of another kind than the id of another backend's task.
    with suppress(NoReverseMatch, ValidationError, ValueError):
        if model.objects.filter(pk=log.task_id).exists():
            return reverse(
                f"admin:{options.app_label}_{options.model_name}_change", args=[log.task_id], current_app=site
            )
    return ""
