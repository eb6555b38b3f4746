"""How do declared jobs become rows?

Every node may do this at every start, at the same time: nothing is written where nothing changed, one node's INSERT wins
by the unique ``declared_as``, and a row that stays keeps its slots, its lock and its logs.
"""

from __future__ import annotations

import logging
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import apps
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.utils.module_loading import module_has_submodule

from cronkite import databases, declarations, locks
from cronkite.declarations import Declaration
from cronkite.exceptions import CronkiteError
from cronkite.models import Job

logger = logging.getLogger("cronkite")

#: How often to start anew when other nodes, doing the same, were in the way.
ATTEMPTS = 20

#: Asked for before the tables were there: (module, delete_first).
_waiting: list[tuple[str, bool]] = []


def auto_discover(module: str | ModuleType, delete_first: bool = False) -> None:
    """See :meth:`Job.auto_discover`."""
    name = module if isinstance(module, str) else module.__name__
    declared = declarations_in(import_module(name))
    if not _has_tables():
        _waiting.append((name, delete_first))
        return
    _retried(name, declared, delete_first)


def discover_apps(**kwargs: Any) -> None:
    """Make jobs of what the ``crontab`` modules of installed apps declare, and of what waited for the tables.

    Also a receiver of ``post_migrate``. A job that exists is left as it is.
    """
    if not _has_tables():
        return
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "crontab"):
            auto_discover(f"{app.name}.crontab")
    while _waiting:
        auto_discover(*_waiting.pop())


def declarations_in(module: ModuleType) -> list[Declaration]:
    """Return what is declared of the functions that are *defined* in ``module``, in its order."""
    found = [declarations.of(target) for target in vars(module).values()]
    ours = [declaration for declaration in found if declaration and _module(declaration.function) == module.__name__]
    return list({declaration.function: declaration for declaration in ours}.values())


def _module(dotted: str) -> str:
    return dotted.rpartition(".")[0]


def _has_tables() -> bool:
    connection = connections[locks.database()]
    return Job._meta.db_table in connection.introspection.table_names()


def _retried(module: str, declared: list[Declaration], delete_first: bool) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _synchronise(module, declared, delete_first)
            return
        except DatabaseError as error:
            # A node that does the same at the same time may delete or insert a row under our hands.
            ours = isinstance(error, IntegrityError) or databases.is_conflict(error)
            if not ours or attempt == ATTEMPTS or connections[locks.database()].in_atomic_block:
                raise


def _synchronise(module: str, declared: list[Declaration], delete_first: bool) -> None:
    using = locks.database()
    rows = Job.objects.using(using).filter(function__startswith=f"{module}.").order_by("id")
    present = [job for job in rows if _module(job.function) == module]
    for declaration in declared:
        own = [job for job in present if job.function == declaration.function]
        kept = next((job for job in own if job.declared_as), own[0] if own else None)
        try:
            if kept is None:
                _create(declaration, using)
            elif delete_first:
                _update(kept, declaration, using)
                present.remove(kept)
        except CronkiteError as error:
            logger.error("%s is declared as a job, but can't be one: %s", declaration.function, error)
    if delete_first:
        for job in present:
            # What another node inserted since we looked is not among these.
            logger.info("Job %r (%s) is deleted: %s does not declare it.", job.name, job.function, module)
            job.delete()


def _create(declaration: Declaration, using: str) -> None:
    with transaction.atomic(using=using):
        Job(**declaration.columns()).save(using=using)
    logger.info(
        "Job %r (%s) is declared, with the schedule %s.", declaration.name, declaration.function, declaration.schedule
    )


def _update(job: Job, declaration: Declaration, using: str) -> None:
    changed = {column: value for column, value in declaration.columns().items() if getattr(job, column) != value}
    if changed:
        for column, value in changed.items():
            setattr(job, column, value)
        job.save(using=using, update_fields=list(changed))
