"""The task that calls plain functions, for each engine that is here: see ``CRONKITE_TASK``.

``run`` is one of ``django.tasks``, or of its backport; ``run_by_celery`` one of Celery, which finds it by itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.management import CommandError

from cronkite.code import calls, commands, functions, modules

try:
    from django.tasks import task
except ImportError:
    try:
        from django_tasks import task  # type: ignore[no-redef, import-not-found, unused-ignore]
    except ImportError:
        task = None  # type: ignore[assignment]

try:
    from celery import shared_task
except ImportError:
    shared_task = None


def run(function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call the job's function of this dotted name with its arguments, if it may be run, and return its result.

    One that exits, as management commands do, does not end the engine's worker: with no code, or 0, it has succeeded,
    and with another one it has failed, by a ``CommandError`` that says so.
    """
    try:
        return calls.call(functions.resolve(commands.callee(function, args)), args, kwargs)
    except SystemExit as end:
        if not end.code:
            return None
        raise CommandError(modules.exited(end)) from end


if shared_task is not None:
    run_by_celery = shared_task(name="cronkite.tasks.run_by_celery")(run)

if task is not None:
    # A project whose default backend has no queue "default" can't have this task. It is to be told so where it asks for
    # it, and not where Celery looks for tasks of its own.
    with suppress(Exception):
        run = task(run)  # type: ignore[assignment]  # it can be called no more, but enqueued
