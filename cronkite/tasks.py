"""The task that calls plain functions, for each engine that is here: see ``CRONKITE_TASK``.

``run`` is one of ``django.tasks``, or of its backport; ``run_by_celery`` one of Celery, which finds it by itself.
"""

from __future__ import annotations

from typing import Any

from cronkite.code import calls, functions

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


def _run(function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call the function of this dotted name, if it may be run, and return its result."""
    return calls.call(functions.resolve(function), args, kwargs)


if task is not None:

    @task
    def run(function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call the job's function of this dotted name with its arguments, and return its result."""
        return _run(function, args, kwargs)


if shared_task is not None:

    @shared_task(name="cronkite.tasks.run_by_celery")  # type: ignore[untyped-decorator]
    def run_by_celery(function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call the job's function of this dotted name with its arguments, and return its result."""
        return _run(function, args, kwargs)
