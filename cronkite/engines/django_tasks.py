"""What does a backend of ``django.tasks``, or of the backport of it, take, and what does it tell?

Where it is django-tasks-db's, with its table in the database of the jobs, what it takes is part of the transaction.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router

from cronkite.claims.verdicts import Claim, Receipt
from cronkite.code import calls
from cronkite.code.outcomes import Outcome, keep_result, keep_text
from cronkite.code.tasks import Order
from cronkite.database import batches, commits, quirks
from cronkite.engines.kinds import Line, NotSent, Told
from cronkite.models import Job, Log

#: What is asked about goes by the name of the backend.
NEEDS_CODE = False
#: Where Django has its tasks, and where the backport does.
HOMES = ("django.tasks", "django_tasks")


class _Backend:
    """The backend itself, which each task knows."""

    @staticmethod
    def enqueue(order: Order, claim: Claim) -> Receipt:
        """Hand the task over. Raises :class:`NotSent` where it would be a row that nobody commits."""
        _demand_commits(order)
        args, kwargs = order.arguments(claim.args, claim.kwargs)
        result = order.task.enqueue(*args, **kwargs)
        task = result.task
        return Receipt(calls.DJANGO_TASKS, str(result.id), task.backend, task.queue_name, can_tell(order))


def place(order: Order) -> str:
    """Return the name of the backend."""
    return str(order.task.backend)


def hindrance(order: Order) -> str:
    """Say so where the tasks of django-tasks-db are in a database whose settings have nothing committed."""
    table = _table(order.task.get_backend())
    if table is None or commits.has_autocommit(using := router.db_for_write(table)):
        return ""
    return (
        f"The tasks of django-tasks-db are in the database {using!r}, which has AUTOCOMMIT = False, so its task would "
        "be rolled back. Have your DATABASE_ROUTERS name another one for the app django_tasks_database: best the one "
        "that they name for the app cronkite. Its workers need that, too."
    )


def joins(order: Order, using: str) -> bool:
    """Tell whether the task is written into the database ``using``, by whoever hands it over, at once."""
    backend = order.task.get_backend()
    table = _table(backend)
    if table is None or router.db_for_write(table) != using:
        return False
    # The backport can be told to wait for a commit, and then writes it after that.
    waits = getattr(backend, "_get_enqueue_on_commit_for_task", None)
    return not (waits and waits(order.task))


def together(order: Order, using: str) -> AbstractContextManager[None]:
    """Have the rows of tasks be written at a time."""
    return batches.together(using, _table(order.task.get_backend()))


def other_database(order: Order, using: str) -> str:
    """Return the alias of the database that django-tasks-db has the task's table in, if that is not ``using``."""
    table = _table(order.task.get_backend())
    found = using if table is None else router.db_for_write(table)
    return "" if found == using else found


def can_tell(order: Order) -> bool:
    """Tell whether the backend keeps results."""
    return bool(order.task.get_backend().supports_get_result)


@contextmanager
def line(order: Order) -> Iterator[Line]:
    """Return the backend: it opens what it needs by itself."""
    yield _Backend()


def tell(job: Job, backend: str, task_ids: list[str]) -> Iterator[tuple[str, Told | None]]:
    """Tell what became of tasks. Of django-tasks-db, in one query, and without the code of the tasks."""
    handler = _backend(backend)
    table = _table(handler)
    if table is not None:
        yield from _tell_rows(table, task_ids)
        return
    for task_id in task_ids:
        try:
            result = handler.get_result(task_id)
        except Exception as error:
            if type(error).__name__ not in {"TaskResultDoesNotExist", "ResultDoesNotExist"}:
                raise
            yield task_id, None
        else:
            yield task_id, _told(result)


def _demand_commits(order: Order) -> None:
    """Raise :class:`NotSent` if autocommit is turned off on the connection that the task would be written by.

    It would be rolled back with the connection. So does one that can't be connected to: nothing was sent.
    """
    table = _table(order.task.get_backend())
    if table is None:
        return
    using = router.db_for_write(table)
    try:
        # Receivers of ``connection_created`` are called here, before it is asked.
        connections[using].ensure_connection()
        commits.demand_of(using)
    except (ImproperlyConfigured, DatabaseError) as error:
        raise NotSent(error) from error


def _backend(alias: str) -> Any:
    for home in HOMES:
        if home in sys.modules or home == HOMES[-1]:
            handler = import_module(home).task_backends
            if alias in handler.settings:
                return handler[alias]
    raise LookupError(f"TASKS has no backend {alias!r} any more.")


def _table(backend: Any) -> Any:
    """Return the model that the backend keeps its tasks in, if it is django-tasks-db's, or made of that."""
    module = sys.modules.get("django_tasks_db.backend")
    if module is None or not isinstance(backend, module.DatabaseBackend):
        return None
    return import_module("django_tasks_db.models").DBTaskResult


def _tell_rows(table: Any, task_ids: list[str]) -> Iterator[tuple[str, Told | None]]:
    columns = ["id", "status", "started_at", "finished_at", "worker_ids", "return_value", "traceback"]
    # Where they are written: a replica may not know of a task yet, and what is not known of is followed no more.
    using = router.db_for_write(table)
    known = table.objects.using(using).filter(id__in=task_ids).values(*columns)
    rows = {str(row["id"]): row for row in quirks.anew(using, lambda: list(known.all()))}
    for task_id in task_ids:
        row = rows.get(task_id)
        if row is None:
            yield task_id, None
            continue
        yield (
            task_id,
            Told(
                row["status"] == "RUNNING",
                _outcome(row["status"], row["return_value"], row["traceback"]),
                row["started_at"],
                row["finished_at"],
                _worker(row["worker_ids"]),
            ),
        )


def _told(result: Any) -> Told:
    status = str(getattr(result.status, "value", result.status))
    value = result.return_value if status == "SUCCESSFUL" else None
    traceback = "\n".join(str(error.traceback) for error in result.errors)
    outcome = _outcome(status, value, traceback)
    return Told(status == "RUNNING", outcome, result.started_at, result.finished_at, _worker(result.worker_ids))


def _outcome(status: str, value: Any, traceback: str) -> Outcome | None:
    if status == "SUCCESSFUL":
        return Outcome(Log.Status.SUCCEEDED, result=keep_result(value))
    if status == "FAILED":
        return Outcome(Log.Status.FAILED, exc_info=keep_text(traceback))
    return None


def _worker(worker_ids: list[Any]) -> str:
    return str(worker_ids[-1]) if worker_ids else ""
