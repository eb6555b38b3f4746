"""Where does an engine show its tasks?"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.apps import apps
from django.urls import NoReverseMatch, reverse

from cronkite.code import calls
from cronkite.models import Log


def page(log: Log, site: str, user: Any) -> str:
    """Return the address of the page of the log's task in the admin ``site``; nothing if there is none for ``user``."""
    if log.engine == calls.DJANGO_TASKS and apps.is_installed("django_tasks_db"):
        return _of_model("django_tasks_db", "dbtaskresult", log, site, user)
    return ""


def _of_model(app: str, model: str, log: Log, site: str, user: Any) -> str:
    if not (user.has_perm(f"{app}.view_{model}") or user.has_perm(f"{app}.change_{model}")):
        return ""
    table: Any = apps.get_model(app, model)
    with suppress(NoReverseMatch):
        if table.objects.filter(pk=log.task_id).exists():
            return reverse(f"admin:{app}_{model}_change", args=[log.task_id], current_app=site)
    return ""
