"""What does an edit do to a job's plan?

An edit is planned from the row as it is in the database, and written only if that row has not changed meanwhile. What
fell due before the edit is recorded as missed: nothing vanishes (promise P2).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction
from django.db.models import F

from cronkite import conf
from cronkite.code import calls, commands, functions
from cronkite.database import clock, quirks
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import restores, rhythm, told
from cronkite.models.logs import Log
from cronkite.models.queries import NO_RETRY, JobQuerySet
from cronkite.models.rhythm import RHYTHM, SEEDED_BY
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import Decision

if TYPE_CHECKING:
    from cronkite.models.jobs import Job

#: How often an edit starts anew because a tick or another edit came first.
ATTEMPTS = 10


def plan_new(job: Job, using: str) -> None:
    """Set the first ``next_run`` of a job that is about to be inserted: after the database's now, never before."""
    schedule, now = job.get_schedule(), clock.now(using)
    job.planned_at = now
    if not job.enabled:
        job.next_run = None
    elif job.next_run is None:
        job.next_run = schedule.next_after(now)


def said(job: Job) -> frozenset[str]:
    """Return the columns that a whole ``job`` decides on; a new object that names no declaration leaves that alone."""
    is_silent = job._state.adding and job.declared_as is None  # noqa: SLF001 - documented
    return job.DEFINITION - {"declared_as"} if is_silent else job.DEFINITION


def exists(job: Job, using: str) -> bool:
    """Tell whether the job has a row."""
    return row_of(job, using).exists()


def edit(job: Job, columns: frozenset[str], using: str, write: Callable[[], None]) -> None:
    """Write the ``columns`` of ``job`` by calling ``write``, together with the plan that follows from them.

    Raises :class:`django.db.DatabaseError` if the row is gone, or if others keep changing it.
    """
    rows = row_of(job, using)
    for _ in range(ATTEMPTS):
        before = _committed(rows, using)
        if before is None:
            raise DatabaseError(f"Job {job.pk} is gone: it was deleted meanwhile.")
        if (callee := _callee(job, before, columns)) != before.callee:
            job.engine = calls.engine(functions.look_up(callee), job.backend)
        elif "backend" in columns and job.backend != before.backend:
            job.engine = _engine(job)
        else:
            job.engine = before.engine
        after = type(job)(**{c: getattr(job if c in columns else before, c) for c in (*RHYTHM, *SEEDED_BY)})
        unchanged = rhythm.of(after) == rhythm.of(before)
        with transaction.atomic(using=using):
            if unchanged:
                written = _as_read(rows, before).write(revision=F("revision") + 1, engine=job.engine)
            else:
                written = _replan(rows, before, after, using)
                if written:
                    rows.write(engine=job.engine)
            if written:
                write()
                told.edited(job, "changed", columns, using)
                job.revision = before.revision + 1
                plan = before if unchanged else after
                job.next_run, job.planned_at = plan.next_run, plan.planned_at
                return
    raise DatabaseError(f"Job {job.pk} could not be saved: it was changed {ATTEMPTS} times meanwhile. Try again.")


def _callee(job: Job, before: Job, columns: frozenset[str]) -> str:
    """Return what the job runs once these columns are written."""
    function, args = (getattr(job if column in columns else before, column) for column in ("function", "args"))
    return commands.callee(function, args)


def _engine(job: Job) -> str:
    """Return the engine that the job's function is a task of, as far as that can be told here."""
    try:
        return calls.engine(functions.look_up(job.callee), job.backend)
    except FunctionError:
        return job.engine


def before_delete(sender: type[Job], instance: Job, using: str, **kwargs: Any) -> None:
    """Record what a job owes before it is deleted, and that whoever runs it has lost its lock.

    A receiver of ``pre_delete``, which Django sends within the transaction of the deletion. The UPDATE also keeps the
    row locked until the deletion commits: no claim can add a log that the deletion does not know of.
    """
    rows = row_of(instance, using)
    for _ in range(ATTEMPTS):
        before = _committed(rows, using)
        if before is None:
            return
        decision = _owed(before, before.now, "the job was deleted")
        if decision.missed and restores.is_realigned(before, using):
            continue
        if _conditional(rows, before).write(revision=F("revision") + 1, enabled=False, next_run=None):
            Log.record_missed(before, decision, node=conf.get().node, using=using)
            Log.lose_with_job(before, using=using)
            told.edited(before, "deleted", (), using)
            return
    raise DatabaseError(
        f"Job {instance.pk} could not be deleted: it was changed {ATTEMPTS} times meanwhile. Try again."
    )


def _replan(rows: JobQuerySet, before: Job, after: Job, using: str) -> int:
    """Write the plan of the job as it is ``after`` the edit, and what was owed ``before``; return the row count."""
    now = before.now
    reason = "the schedule was changed" if after.enabled else "the job was disabled"
    decision = _owed(before, now, reason)
    if decision.missed and restores.is_realigned(before, using):
        return 0
    last_slot = decision.last_missed or before.last_slot
    after.planned_at = now
    # The schedule of a job that is being disabled may be broken; that is one reason to disable it.
    after.next_run = after.get_schedule().next_after(max(now, last_slot or now)) if after.enabled else None
    written = _conditional(rows, before).write(
        revision=F("revision") + 1,
        next_run=after.next_run,
        planned_at=now,
        last_slot=last_slot,
        enabled=after.enabled,
        # What was to be tried again is of another plan; its log tells of it.
        **NO_RETRY,
    )
    if written:
        Log.record_missed(before, decision, node=conf.get().node, using=using)
    return written


def _owed(job: Job, now: datetime, reason: str) -> Decision:
    """Decide that what the job owes by ``now`` is missed."""
    nothing = Decision(None, 0, None, now)
    if job.pending is None:
        return nothing
    try:
        return catch_up.abandon(job.get_schedule(), job.pending, now, reason)
    except ScheduleError as error:
        # The schedule was broken behind our back, or is known to other machines only. One slot is known: the next one.
        slot, last_slot = job.pending.next_run, job.pending.last_slot
        if slot > now or (last_slot is not None and slot <= last_slot):
            return nothing
        return Decision(None, 1, slot, now, f"{reason}, and how many more were due cannot be told: {error}")


def row_of(job: Job, using: str) -> JobQuerySet:
    """Return the query for the job's row."""
    return type(job).objects.using(using).filter(pk=job.pk)


def _committed(rows: JobQuerySet, using: str) -> Job | None:
    """Return the row as it is now, with the database's clock in ``now``.

    Inside a transaction of the caller's, an ordinary read may show an old snapshot (REPEATABLE READ), in which the edit
    would never see what it collides with; a locking read shows the newest row.
    """
    connection = connections[using]
    if quirks.is_borrowed(connection):
        rows = rows.select_for_update()
    quirks.read_committed(connection)
    return rows.with_now().first()


def _as_read(rows: JobQuerySet, before: Job) -> JobQuerySet:
    """Return the query for the row, if nobody has edited it, and no claim has disabled it, as that of a one-off does.

    What is written then is all that was read: it would enable the job again.
    """
    return rows.filter(revision=before.revision, enabled=before.enabled)


def _conditional(rows: JobQuerySet, before: Job) -> JobQuerySet:
    """Return the query for the row, if its plan is still as it was ``before``."""
    return rows.filter(revision=before.revision, next_run=before.next_run, last_slot=before.last_slot)
