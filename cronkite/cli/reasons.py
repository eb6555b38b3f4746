"""Why did a slot run, or not run, in sentences?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from django.apps import apps
from django.db import DatabaseError

from cronkite.claims import seats, skips
from cronkite.cli.instants import absolute, relative
from cronkite.code import commands
from cronkite.models import Group, Job, Log, Node, primary
from cronkite.reports import hindrances
from cronkite.reports.accounts import Account, Verdict
from cronkite.schedules.durations import in_short

#: How many edits that the admin knows of are told, the newest last.
EDITS = 3

#: What another transaction may have locked, by what it is called in the log.
HELD = {
    skips.ROW: "the job's row",
    skips.GROUP: "the group's row",
    skips.LOG: "the log of the run that held the job's lock",
}


def of(job: Job, account: Account, zone: str) -> Iterator[str]:
    """Yield what there is to say about a slot of ``job``, with instants on the clock of ``zone``."""
    log = account.log
    if log is not None and account.verdict is Verdict.RAN:
        yield from _before(account, zone)
        yield from _ran(account.slot, log, zone)
        if job.retry_slot == account.slot and job.retry_at is not None and log.status == Log.Status.FAILED:
            yield f"Attempt {job.retry_attempt} is to come {relative(job.retry_at, job.now)}."
    elif log is not None:
        yield f"No run was made of it: {log.reason}."
        slots = f"one of {log.missed + (log.status == Log.Status.MISSED)} missed slots, " if log.missed else ""
        yield f"Recorded by node {log.node} at {absolute(log.created, zone)} ({slots}log {log.pk})."
    elif account.verdict is Verdict.NOT_DUE:
        yield f"It falls due {relative(account.slot, job.now)}."
    elif account.verdict is Verdict.WAITING:
        yield from _waits(job, account.slot, zone)
    elif account.verdict is Verdict.DISABLED:
        since = f" since {absolute(job.planned_at, zone)}" if job.planned_at else ""
        yield f"The job is disabled{since}."
        yield from _edits(job)
    elif account.verdict is Verdict.NOT_PLANNED:
        yield from _not_planned(job, account.slot, zone)
    elif job.planned_at is None:
        yield "There is no record of it. The job did not exist then, was disabled, or had another schedule."
        yield "Or its log was deleted."
        yield from _edits(job)
    else:
        yield "Its log was deleted: the job was enabled, and each slot since then was run or recorded as missed."


def _before(account: Account, zone: str) -> Iterator[str]:
    """Tell of the attempts before the last one."""
    for log in account.before:
        at, status = absolute(log.created, zone), log.status.replace("_", " ")
        yield f"Attempt {log.attempt}, on node {log.node} at {at}: {status} (log {log.pk})."
    if account.before and account.log is not None:
        yield f"Attempt {account.log.attempt}:"


def _ran(slot: datetime, log: Log, zone: str) -> Iterator[str]:
    began = log.started_at or log.created
    taken = log.created if log.engine else began
    yield f"Node {log.node} took it, {in_short((taken - slot).total_seconds())} after its slot (log {log.pk})."
    if log.engine:
        yield f"It was handed over to {shown_task(log)}."
        if log.started_at is not None:
            by = f" by {log.worker}" if log.worker else ""
            yield f"It was begun at {absolute(log.started_at, zone)}{by}."
    if log.status == Log.Status.HANDED_OVER:
        if not log.reason:
            yield "That it has ended is not known yet."
    elif log.finished_at is None:
        yield f"It runs since {absolute(began, zone)}."
    else:
        took = in_short((log.finished_at - began).total_seconds())
        yield f"It ended at {absolute(log.finished_at, zone)}, after {took}."
    if log.reason:
        yield f"{log.reason[:1].upper()}{log.reason[1:]}."
    if log.exc_info:
        yield log.exc_info.strip().rpartition("\n")[2]


def shown_task(log: Log) -> str:
    """Say what was handed over: to which engine, in which queue, as which task."""
    engine = f"{log.engine} ({log.backend})" if log.backend else log.engine
    queue = f", queue {log.queue}" if log.queue else ""
    return f"{engine}{queue}, task {log.task_id or 'unknown'}"


def _waits(job: Job, slot: datetime, zone: str) -> Iterator[str]:
    """Say what keeps nodes from a slot that has come."""
    begins_at = job.begins_at if slot == job.next_run else None
    if begins_at is not None and begins_at > job.now:
        yield f"It is begun {relative(begins_at, job.now)}, by the job's jitter."
        return
    yield f"It fell due {relative(slot, job.now)}, and no node has taken it yet."
    if job.locked_at is not None:
        seen = in_short((job.now - job.locked_at).total_seconds())
        yield f"The job is locked by {job.locked_by}, whose run was last seen alive {seen} ago."
        if job.is_stale:
            yield "The lock is stale: the next tick takes it over."
        elif job.is_stuck:
            yield f"It is stuck. If the run is gone, say `manage.py cron unlock {job.pk}`."
    yield from _room(job)
    yield from _held(job)
    last = Node.objects.using(primary.alias()).order_by("-ticked_at").first()
    if last is None:
        yield "No node has ever ticked."
    elif last.ticked_at < slot:
        yield f"No node has ticked since: the last was {last.name}, at {absolute(last.ticked_at, zone)}."
    if problem := hindrances.of_schedule(job):
        yield f"When it is to run cannot be told on this machine. {problem}"
    if problem := hindrances.of_function(job.callee):
        yield f"Its {'command' if commands.of(job.callee) else 'function'} cannot be run here. {problem}"


def _held(job: Job) -> Iterator[str]:
    """Say which row that a claim needs another transaction has locked."""
    with suppress(DatabaseError):  # as of a user who may only read
        held = skips.in_the_way_of([job])[job.pk]
        # A run that goes on writes into its log by itself.
        if held and (held != skips.LOG or job.is_stale):
            yield f"Another transaction has {HELD[held]} locked at this moment."
            yield "No node can claim it before that ends."


def _room(job: Job) -> Iterator[str]:
    """Say who has the seats of the job's group, if there is none left."""
    if job.group not in seats.full([job]):
        return
    using = primary.alias()
    group = Group.objects.using(using).filter(name=job.group).values("pk")
    running = Job.objects.using(using).filter(seated_in__in=group).exclude(pk=job.pk).order_by("seat")
    named = ", ".join(f"{each.name} on {each.locked_by}" for each in running)
    yield f"Its group, {job.group}, has no room: as many of its jobs run as may ({named})."


def _not_planned(job: Job, slot: datetime, zone: str) -> Iterator[str]:
    assert job.planned_at is not None
    yield f"Its present plan was made later, at {absolute(job.planned_at, zone)}."
    older = Log.objects.using(primary.alias()).filter(job=job.pk, created__lt=slot)
    if older.exists():
        yield "The job was disabled then, or had another schedule."
    else:
        yield "Nothing older is known of the job: it did not exist then, was disabled, or had another schedule."
    yield from _edits(job)


def _edits(job: Job) -> Iterator[str]:
    """Say what the admin knows of edits, if it is installed."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    kind = ContentType.objects.get_for_model(Job)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(job.pk)).select_related("user")
    for entry in reversed(entries.order_by("-action_time")[:EDITS]):
        who, what = entry.user.get_username(), str(entry.get_change_message())
        yield f"Edited in the admin at {entry.action_time:%Y-%m-%d %H:%M:%S} UTC by {who}: {what or 'deleted'}"
