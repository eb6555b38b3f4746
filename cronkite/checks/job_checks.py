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
from django.db.models import Q
from django.urls import get_resolver

from cronkite.checks.declared_checks import listed, not_allowed, plain
from cronkite.checks.setting_checks import TAG, is_asked
from cronkite.code import calls, commands, functions, modules, tasks
from cronkite.database import collations
from cronkite.declared import discovery
from cronkite.models import Job, primary

#: The monitor that tells of runs by the URLs that jobs have.
PINGS = "cronkite.monitors.pings"


@checks.register(checks.Tags.database)
def check_enabled_jobs(databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W009: enabled jobs may not be run here. Only their names are judged, so that nothing is imported."""
    using = primary.alias()
    if using not in (databases or ()):
        return []
    try:
        with transaction.atomic(using=using):
            enabled = Job.objects.using(using).filter(enabled=True)
            names = sorted({commands.callee(*each) for each in enabled.values_list("function", "args").order_by()})
    except DatabaseError:
        return []  # the tables are not there yet, or the database is not
    return not_allowed({name: why for name in names if (why := functions.refusal(name))}, "enabled")


@checks.register(checks.Tags.database)
def check_handed_over_jobs(databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W011, W012: jobs that are handed over can't be, or not exactly once. Imports the modules of these jobs only."""
    using = primary.alias()
    if using not in (databases or ()):
        return []
    handed_over = Q(run_mode=tasks.HAND_OVER) | Q(Q(engine__gt=""), run_mode=tasks.AUTOMATIC)
    try:
        with transaction.atomic(using=using):
            jobs = list(Job.objects.using(using).filter(handed_over, enabled=True).order_by("function"))
    except DatabaseError:
        return []
    # What may not be run is told of by W009.
    jobs = [job for job in jobs if not functions.refusal(job.callee)]
    functions.try_all(job.callee for job in jobs)
    found: dict[str, dict[str, str]] = {"W011": {}, "W012": {}}
    for job in jobs:
        _judge(job, using, found)
    return [*_apart(found["W011"]), *_not_handed_over(found["W012"])]


@checks.register(checks.Tags.database)
def check_declared_names(databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W003: the database takes the names of declared functions for one that no other check has told of."""
    using = primary.alias()
    if using not in (databases or ()) or not is_asked():
        return []
    names = list(dict.fromkeys(declaration.function for declaration in discovery.declared_by_apps()))
    field = Job._meta.get_field("declared_as")  # noqa: SLF001 - documented
    try:
        with transaction.atomic(using=using):
            alike = collations.alike(names, field, using)
    except DatabaseError:
        return []
    return [
        checks.Warning(
            f"These are declared as jobs, and the database {using!r} takes their names for one: {', '.join(group)}. "
            "All but the first are refused.",
            hint="Give the functions names that differ by more than that.",
            id="cronkite.W003",
        )
        for group in alike
        if len(set(map(plain, group))) > 1
    ]


def _judge(job: Job, using: str, found: dict[str, dict[str, str]]) -> None:
    try:
        order = tasks.order(job, functions.look_up)
        if order is not None and order.engine == calls.DJANGO_TASKS:
            engine = import_module("cronkite.engines.django_tasks")  # it needs django.tasks, or the backport of it
            if hindrance := engine.hindrance(order):
                found["W012"][job.what] = hindrance
            elif alias := engine.other_database(order, using):
                found["W011"][job.what] = alias
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what the project's own code raises is what is asked for
        found["W012"][job.what] = modules.text(error)


def _apart(aliases: dict[str, str]) -> list[checks.CheckMessage]:
    """W011: the queue is not where the jobs are."""
    if not aliases:
        return []
    return [
        checks.Warning(
            f"{_jobs(aliases)} handed over at most once, not exactly once: {listed(aliases)}. The tasks of "
            f"django-tasks-db are in the database {next(iter(aliases.values()))!r}, the jobs in {primary.alias()!r}, "
            "and no transaction holds both.",
            hint="Have your DATABASE_ROUTERS name one database for the apps cronkite and django_tasks_database. If a "
            "slot may be lost when its node dies, silence this check.",
            id="cronkite.W011",
        )
    ]


def _not_handed_over(problems: dict[str, str]) -> list[checks.CheckMessage]:
    """W012: what is to be handed over is no task that an engine takes."""
    if not problems:
        return []
    return [
        checks.Warning(
            f"{_jobs(problems)} not handed over: {listed(problems)}.",
            hint=f"{'Of the first: ' if len(problems) > 1 else ''}{next(iter(problems.values()))}",
            id="cronkite.W012",
        )
    ]


def _jobs(names: Collection[str]) -> str:
    return f"{len(names)} enabled jobs are" if len(names) > 1 else "1 enabled job is"


@checks.register(checks.Tags.database)
def check_pinged_jobs(databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W013: enabled jobs have URLs to ping, and nobody pings them."""
    using = primary.alias()
    if using not in (databases or ()) or PINGS in getattr(settings, "CRONKITE_MONITORS", ()):
        return []
    try:
        with transaction.atomic(using=using):
            jobs = Job.objects.using(using).filter(enabled=True, ping__gt="")
            names = sorted(set(jobs.values_list("function", flat=True).order_by()))
    except DatabaseError:
        return []
    if not names:
        return []
    return [
        checks.Warning(
            f"{_jobs(names)} to be told of by a ping, and none is sent: {listed(names)}.",
            hint=f'Add "{PINGS}" to CRONKITE_MONITORS.',
            id="cronkite.W013",
        )
    ]


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
