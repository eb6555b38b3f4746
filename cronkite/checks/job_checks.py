"""Which jobs can't be what they are meant to be, as ``manage.py check`` tells?

Only ``manage.py check`` looks, and not the other commands, before which Django runs its checks, too. Nothing here
connects to a database, but for the one that Django asks with ``--database``.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, transaction
from django.urls import get_resolver

from cronkite.checks.declared_checks import not_allowed
from cronkite.checks.setting_checks import TAG, is_asked
from cronkite.code import functions
from cronkite.models import Job, primary


@checks.register(checks.Tags.database)
def check_enabled_jobs(databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W009: enabled jobs may not be run here. Only their names are judged, so that nothing is imported."""
    using = primary.alias()
    if using not in (databases or ()):
        return []
    try:
        with transaction.atomic(using=using):
            enabled = Job.objects.using(using).filter(enabled=True)
            names = sorted(set(enabled.values_list("function", flat=True).order_by()))
    except DatabaseError:
        return []  # the tables are not there yet, or the database is not
    return not_allowed({name: why for name in names if (why := functions.refusal(name))}, "enabled")


@checks.register(TAG)
def check_strays(**_: Any) -> list[checks.CheckMessage]:
    """W010: something is declared, and becomes no job."""
    # Elsewhere, such as in tests, python has seen what no node ever will.
    if not is_asked() or sys.argv[1:2] != ["check"]:
        return []
    _import_urls()
    found = import_module("cronkite.declared.strays").find()  # what other commands never need
    return [checks.Warning(f"{stray.name}: {stray.problem}", hint=stray.hint, id="cronkite.W010") for stray in found]


def _import_urls() -> None:
    """Import what the project's URLs import: Django checks them, too, but in no order, and not with ``--tag``."""
    if getattr(settings, "ROOT_URLCONF", None):
        # What can't be imported is told of by Django's own check.
        with suppress(Exception):
            _ = get_resolver().url_patterns
