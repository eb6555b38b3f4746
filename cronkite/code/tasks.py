"""Which task is handed over for a job, and can its engine take it so?

A job's function is a task of ``django.tasks`` (or of its backport) or of Celery, and that is what is handed over. For a
plain function, that is the one task of the project's that calls it: see ``CRONKITE_TASK``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from cronkite import conf
from cronkite.code import calls, functions, modules
from cronkite.exceptions import FunctionError, FunctionNotAllowed

AUTOMATIC, HERE, HAND_OVER = "automatic", "here", "hand over"

#: Celery's priorities, of which each broker takes some.
CELERY_PRIORITIES = range(256)


class HandedOver(Protocol):
    """What of a job says how it is handed over; see :class:`cronkite.models.Job`."""

    function: str
    run_mode: str
    backend: str
    queue: str
    priority: int | None

    @property
    def callee(self) -> str:
        """The text by which :mod:`cronkite.code.functions` finds what it runs."""


class Order(NamedTuple):
    """A task, as it is to be handed over, and the engine that is to have it."""

    engine: str
    task: Any
    queue: str
    priority: int | None
    #: The function that the task is to call, if it is the one that calls others; else empty.
    calls: str

    def arguments(self, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return what the task is called with, where the job's function is with these."""
        return ([self.calls, args, kwargs], {}) if self.calls else (args, kwargs)


def engine(function: Any, run_mode: str, backend: str) -> str:
    """Return the engine that is to have the function without being told, or nothing if a node is to run it."""
    return calls.engine(function, backend) if run_mode == AUTOMATIC else ""


def order(job: HandedOver, resolve: Callable[[str], Any] = functions.resolve) -> Order | None:
    """Return what to hand over for ``job``, or ``None`` if a node is to run it.

    ``resolve`` finds functions by their names. Raises :class:`FunctionError` if the function can't be had, or can't be
    handed over as the job says.
    """
    if job.run_mode == HERE:
        return None
    target = resolve(job.callee)
    kind, called = calls.engine(target, job.backend), ""
    if not kind:
        if job.run_mode != HAND_OVER:
            return None
        target, called = _caller(job, resolve), job.function
        kind = calls.engine(target, job.backend)
        if not kind:
            raise FunctionNotAllowed(
                f"{job.function!r} cannot be handed over: CRONKITE_TASK names {conf.get().task!r}, which is no task of "
                "an engine that works elsewhere."
            )
    return Order(kind, _as_asked(job, kind, target), job.queue, job.priority, called)


def backends() -> list[str]:
    """Return the names of the backends in TASKS that have work done elsewhere."""
    return sorted(name for name, backend in _configured() if not calls.is_immediate(type(backend)))


def queues() -> list[str]:
    """Return the names of the queues that the settings tell of."""
    found = {queue for _, backend in _configured() for queue in getattr(backend, "queues", ())}
    if (celery := sys.modules.get("celery")) is not None:
        conf_ = celery.current_app.conf
        found |= {str(getattr(queue, "name", queue)) for queue in conf_.task_queues or ()}
        found.add(conf_.task_default_queue)
    return sorted(found)


def _configured() -> Iterator[tuple[str, Any]]:
    """Yield the backends in TASKS, by their names, that can be had."""
    for home in ("django.tasks", "django_tasks"):
        with suppress(ImportError):
            handler = import_module(home).task_backends
            for name in handler.settings:
                with suppress(Exception):
                    yield name, handler[name]
            return


def problem(job: HandedOver, resolve: Callable[[str], Any]) -> str:
    """Say why ``job`` can't be handed over as it says, or nothing."""
    try:
        order(job, resolve)
    except FunctionError as error:
        return str(error)
    return ""


def _caller(job: HandedOver, resolve: Callable[[str], Any]) -> Any:
    """Return the task of the project's that calls plain functions."""
    named = conf.get().task
    if not named:
        raise FunctionNotAllowed(
            f"{job.function!r} is no task of an engine, so it cannot be handed over by itself. Name the task that is "
            'to call such functions, as in CRONKITE_TASK = "cronkite.tasks.run", or have it run by a node.'
        )
    return resolve(named)


def _as_asked(job: HandedOver, engine: str, task: Any) -> Any:
    """Return the task with what the job says of it, where its engine has that as a property of the task."""
    if engine == calls.CELERY:
        if job.backend:
            raise FunctionNotAllowed(f"{job.function!r} is a task of Celery, which knows no backends in TASKS.")
        if job.priority is not None and job.priority not in CELERY_PRIORITIES:
            raise FunctionNotAllowed(f"{job.function!r} cannot be handed over: Celery's priorities go from 0 to 255.")
        queues = task.app.conf.task_queues
        names = {getattr(queue, "name", queue) for queue in queues or ()}
        if job.queue and names and job.queue not in names:
            known = ", ".join(sorted(names))
            raise FunctionNotAllowed(f"{job.function!r} cannot be handed over: Celery has these queues: {known}.")
        return task
    try:
        return task.using(backend=job.backend or None, queue_name=job.queue or None, priority=job.priority)
    except Exception as error:
        raise FunctionNotAllowed(
            f"{job.function!r} cannot be handed over. Its engine says: {modules.text(error)}"
        ) from error
