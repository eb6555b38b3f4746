"""Who is told, by signals, of what has been written? Whoever is connected to :mod:`cronkite.signals`.

What is told is what the log says, read when it is told: so it is the record, whoever wrote it. Where nobody is
connected, nothing is read, and no thread is started.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, transaction
from django.dispatch import Signal

from cronkite.code import modules
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, leftovers, quirks, teller
from cronkite.exceptions import ScheduleError
from cronkite.models.primary import alias as database
from cronkite.schedules.catch_up import Decision
from cronkite.signals import (
    Run,
    job_edited,
    lock_cleared,
    lock_lost,
    node_silent,
    run_finished,
    run_started,
    slots_missed,
)

if TYPE_CHECKING:
    from cronkite.models.jobs import Job
    from cronkite.models.logs import Log
    from cronkite.models.nodes import Node

logger = logging.getLogger("cronkite")

#: How often, and how many seconds apart, a log is read that is to be told of, while the database is away.
ATTEMPTS, PAUSE = 5, 1.0

SECOND = timedelta(seconds=1)


# What is told by a thread.


def started(log_id: int) -> None:
    """Tell that the run of this log has begun."""
    if _is_wanted(run_started):
        _after_commit(lambda: _tell_run(run_started, _read(pk=log_id)))


def finished(log_id: int) -> None:
    """Tell that the run of this log has ended, and how; call it where the end was written."""
    if _is_wanted(run_finished):
        _after_commit(lambda: _tell_end(_read(pk=log_id)))


def recorded(log_id: int) -> None:
    """Tell of an end that another process has written, unless it came too late: then it was told that it was lost."""
    if _is_wanted(run_finished):
        _after_commit(lambda: _tell_end(_read(pk=log_id), but="lost"))


def task_ended(job_id: int, fence: int) -> None:
    """Tell that a task that was handed over has ended."""
    if _is_wanted(run_finished):
        _after_commit(lambda: _tell_end(_read(job=job_id, fence=fence)))


def are_losses_wanted() -> bool:
    """Tell whether anybody wants to know which runs are lost by the hand of others."""
    return _is_wanted(lock_lost) or _is_wanted(run_finished)


def lost(log_ids: Collection[int]) -> None:
    """Tell that the runs of these logs have lost their locks, and are recorded as lost."""
    for log_id in log_ids:
        _after_commit(partial(_tell_loss, log_id))


def missed(job: Job, decision: Decision) -> None:
    """Tell which slots of ``job``, as it was read to decide on them, were passed over; nothing if none were."""
    if decision.missed and _is_wanted(slots_missed):
        first = _first(job) or decision.last_missed
        _after_commit(
            partial(
                _send,
                slots_missed,
                job_id=job.pk,
                job_name=job.name,
                first=first,
                last=decision.last_missed,
                count=decision.missed,
                reason=decision.reason,
            )
        )


def missed_before(job: Job, log_id: int) -> None:
    """Tell which slots were passed over before that of the log, a claim of ``job`` as it was read."""
    if _is_wanted(slots_missed):
        _after_commit(lambda: _tell_missed_before(job, _read(pk=log_id)))


def silent(node: Node) -> None:
    """Tell that a node shows no life any more."""
    if node_silent.has_listeners(type(node)) and not teller.is_silent():
        values = {"name": node.name, "ticked_at": node.ticked_at, "stays": node.stays}
        _after_commit(lambda: _send(node_silent, type(node), **values))


# What is told by who did it.


def edited(job: Job, change: str, columns: Collection[str], using: str) -> None:
    """Tell, when that is committed, that ``job`` was ``made``, ``changed`` or ``deleted``."""
    if job_edited.has_listeners(type(job)):
        known: int | None = job.pk

        def tell() -> None:
            # A new one has its key by now; one that was deleted has none any more.
            _send(
                job_edited,
                job_id=job.pk if known is None else known,
                job_name=job.name,
                change=change,
                columns=frozenset(columns),
            )

        _here(tell, using)


def cleared(job: Job, by: str, log_id: int | None, using: str) -> None:
    """Tell, when that is committed, that the person ``by`` has cleared the lock of ``job``."""

    def tell() -> None:
        log = None if log_id is None else _read(pk=log_id)
        run = None if log is None else _run(log)
        _send(lock_cleared, job_id=job.pk, job_name=job.name, by=by, run=run)

    if is_clearing_wanted():
        _here(tell, using)


def is_clearing_wanted() -> bool:
    """Tell whether anybody wants to know of locks that people clear."""
    return lock_cleared.has_listeners(_job())


# How.


def _is_wanted(signal: Signal) -> bool:
    return not teller.is_silent() and signal.has_listeners(_job())


def _job() -> type[Job]:
    return apps.get_model("cronkite", "Job")


def _after_commit(tell: Callable[[], object]) -> None:
    """Have it told when what it is about is committed: at once, where no transaction is open."""
    using = database()
    if connections[using].in_atomic_block:
        transaction.on_commit(partial(_put, tell), using=using, robust=True)
    else:
        _put(tell)


def _put(tell: Callable[[], object]) -> None:
    connection = connections[database()]
    if quirks.is_borrowed(connection) or quirks.is_in_memory(connection) or clock.standing is not None:
        # In somebody's tests, of whose rows no other connection may know, and which wait for no thread.
        _at_once(tell)
    else:
        teller.put(tell)


def _here(tell: Callable[[], object], using: str) -> None:
    """Have it told in this thread when what it is about is committed."""
    if connections[using].in_atomic_block:
        transaction.on_commit(partial(_at_once, tell), using=using, robust=True)
    else:
        _at_once(tell)


def _at_once(tell: Callable[[], object]) -> None:
    try:
        tell()
    except (Exception, SystemExit, CancelledError):
        # It is not for a receiver to end who has edited a job, and what else is to be done after the COMMIT.
        logger.exception("A signal could not be sent.")


def _send(signal: Signal, sender: type[Any] | None = None, **values: Any) -> None:
    """Tell each receiver; what they raise is logged."""
    for receiver, answer in signal.send_robust(sender=sender or _job(), **values):
        if isinstance(answer, Exception):
            whom, why = modules.text(receiver, repr), modules.said(answer)
            logger.error("%s, which a signal was sent to, raised %s", whom, why)


def _tell_run(signal: Signal, log: Log | None) -> None:
    if log is not None:
        _send(signal, run=_run(log))


def _tell_end(log: Log | None, but: str = "") -> None:
    # One that could not be written is none.
    if log is not None and log.finished_at is not None and log.status != but:
        outcome = Outcome(log.status, log.result, log.output, log.exc_info, log.reason)
        _send(run_finished, run=_run(log), outcome=outcome, finished_at=log.finished_at)


def _tell_loss(log_id: int) -> None:
    log = _read(pk=log_id)
    # Its end may have been written in the very moment.
    if log is not None and log.status == "lost":
        _send(lock_lost, run=_run(log), reason=log.reason)
        _tell_end(log)


def _tell_missed_before(job: Job, log: Log | None) -> None:
    if log is not None and log.missed and log.slot is not None:
        last = job.get_schedule().latest_at(log.slot - SECOND)
        missed(job, Decision(log.slot, log.missed, last, last, log.reason))


def _first(job: Job) -> datetime | None:
    """Return the first slot that was owed, as far as that can be told here."""
    if job.next_run is None or job.last_slot is None or job.next_run > job.last_slot:
        return job.next_run
    try:
        return job.get_schedule().next_after(job.last_slot)
    except ScheduleError:
        return None


def _read(**which: Any) -> Log | None:
    """Return the log, with its job; ``None``: it is gone. Raises :class:`django.db.DatabaseError` after a while."""
    logs = apps.get_model("cronkite", "Log").objects.using(database()).select_related("job").filter(**which)
    found: Log | None = quirks.insist(logs.db, lambda: quirks.anew(logs.db, logs.first), ATTEMPTS, PAUSE)
    leftovers.give_back(logs.db)
    return found


def _run(log: Log) -> Run:
    job = log.job
    due_at = log.slot if log.slot is not None and log.attempt == 1 else None
    return Run(
        job_id=log.job_id or 0,
        job_name=log.job_name,
        function=log.function,
        slot=log.slot,
        due_at=job.begins(due_at) if job is not None and due_at is not None else due_at,
        attempt=log.attempt,
        fence=log.fence or 0,
        log_id=log.pk,
        node=log.node,
        started_at=log.started_at,
        schedule="" if job is None else job.schedule,
        timezone="" if job is None else job.timezone,
        grace=None if job is None else job.grace,
        timeout=None if job is None else job.timeout,
    )
