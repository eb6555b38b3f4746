"""What becomes of a job that a fixture tells of? What people decide is taken over; what nodes keep never travels.

``loaddata`` writes each column, and calls no ``save()``. So each of three ways begins here, as a receiver of
``pre_save``:

- The job is here, by its key: it is an edit, and what nodes keep of the job stays as it is.
- A dump names a key that is not here: the job was deleted, or the table is being restored. It goes on from where the
  dump was taken, but nobody holds its lock, and nobody has asked for a run.
- Else it is a new job, whatever another database says of it, and is planned from now on.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.models import F
from django.db.transaction import Atomic

from cronkite.code import calls, functions
from cronkite.database import clock
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import edits, told, validation

if TYPE_CHECKING:
    from cronkite.models.jobs import Job
    from cronkite.models.queries import JobQuerySet

#: What a job that is restored goes on from. The rest of what nodes keep is of runs and requests that are gone.
PROGRESS = frozenset(
    [
        "next_run",
        "planned_at",
        "last_slot",
        "fence",
        "revision",
        "engine",
        "jittered_slot",
        "jittered_to",
        "follow_at",
    ]
)
#: What a dump tells of an instant, at the most.
EXACT_TO = timedelta(milliseconds=1)

#: Which jobs each block of a transaction has loaded already, by their natural keys.
_loaded: WeakKeyDictionary[Atomic, set[tuple[str, str]]] = WeakKeyDictionary()


def before_raw_save(sender: type[Job], instance: Job, raw: bool, using: str, **kwargs: Any) -> None:
    """Decide what of a job in a fixture is written, and plan it: a receiver of ``pre_save``.

    Raises :class:`ValueError`, or :class:`cronkite.exceptions.CronkiteError`, for what ``save()`` would refuse; but
    whether the function of a job that was dumped can be run is left to nodes.
    """
    if not raw:
        return
    is_dump = instance.planned_at is not None
    key: int | None = instance.pk
    if edits.exists(instance, using):
        validation.demand(instance, instance.DEFINITION)
        _edit(instance, using)
    elif is_dump and key is not None:
        _forget(instance, PROGRESS)
        told.edited(instance, "made", edits.said(instance), using)
    else:
        validation.demand(instance, instance.DEFINITION)
        if not is_dump:
            # Written by hand; or a dump of a row that is older than that column, and that nobody has edited since.
            _forget(instance, PROGRESS if key is not None else frozenset())
        _enter(instance, is_dump, using)
        told.edited(instance, "made", edits.said(instance), using)
    if (block := _block(using)) is not None:
        _loaded.setdefault(block, set()).add(instance.natural_key())


def demand_one(job: Job, key: tuple[str, str]) -> None:
    """Raise :class:`ValueError` if a job of this natural ``key`` was loaded by the same ``loaddata``.

    ``job`` is what Django looks for, by its natural key, and has no key of its own. It would be written over the other.
    """
    pk: int | None = job.pk
    using = vars(job._state).get("db")  # noqa: SLF001 - documented
    block = None if pk is not None or using is None else _block(using)
    if block is not None and key in _loaded.get(block, ()):
        raise ValueError(
            f"Two jobs here are called {job.name!r}, by which they are known: one would be written over the other. "
            "Call one of them by another name before you dump them, or dump them with their keys."
        )


def _edit(job: Job, using: str) -> None:
    """Write what people decide; have the object leave the rest of the row as it is."""
    columns, row = edits.said(job), edits.row_of(job, using)
    if _is_over(job, using) and not row.filter(enabled=True, schedule=job.schedule, timezone=job.timezone).exists():
        # It was run, here or there, since somebody wrote that it is enabled.
        job.enabled = False
    values = {field.attname: getattr(job, field.attname) for field in _fields(job) if field.name in columns}
    if job.planned_at is not None:
        # Is the row an older state of the very job that was dumped? A fencing token is given to one run.
        same = row.filter(planned_at__gte=job.planned_at, planned_at__lt=job.planned_at + EXACT_TO)
        same.filter(lock__isnull=True, fence__lt=job.fence).write(fence=job.fence)
    edits.edit(job, columns, using, lambda: _write(row, values))
    # All is written. What a node writes before Django writes the row once more is left alone by that: also whether the
    # job is enabled, as the claim of a one-off disables it.
    for field in _fields(job):
        if field.name not in columns - {"enabled"}:
            setattr(job, field.attname, F(field.attname))


def _write(row: JobQuerySet, values: dict[str, Any]) -> None:
    row.write(**values)


def _enter(job: Job, is_dump: bool, using: str) -> None:
    if not is_dump:
        job.engine = calls.engine(functions.look_up(job.callee), job.backend)
        edits.plan_new(job, using)
        return
    engine = job.engine
    _forget(job)
    with suppress(FunctionError):
        engine = calls.engine(functions.look_up(job.callee), job.backend)
    job.engine, job.planned_at = engine, clock.now(using)
    job.enabled = job.enabled and not _is_over(job, using)
    # The schedule of a job that is disabled may be broken; that is one reason to disable it.
    job.next_run = job.get_schedule().next_after(job.planned_at) if job.enabled else None


def _is_over(job: Job, using: str) -> bool:
    """Tell whether it is a one-off that is to be enabled, and whose time has come and gone."""
    if not (job.enabled and job.is_once):
        return False
    try:
        job.get_schedule().next_after(clock.now(using))
    except ScheduleError:
        return True
    return False


def _forget(job: Job, but: frozenset[str] = frozenset()) -> None:
    """Have nothing that nodes keep in the object, ``but`` these columns."""
    for field in _fields(job):
        if field.name not in job.DEFINITION | but:
            setattr(job, field.attname, field.get_default())


def _fields(job: Job) -> list[Any]:
    fields = job._meta.concrete_fields  # noqa: SLF001 - documented
    return [field for field in fields if not (field.primary_key or field.generated)]


def _block(using: str) -> Atomic | None:
    """Return the innermost block of the transaction, which ``loaddata`` opens for itself."""
    blocks = connections[using].atomic_blocks
    return blocks[-1] if blocks else None
