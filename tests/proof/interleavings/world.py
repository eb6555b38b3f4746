"""One job, what nodes do to it, and what must be true whatever the order in which they do it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from django.db import DatabaseError, IntegrityError, connection, transaction
from django_tasks_db.models import DBTaskResult

from app import handed
from cronkite.claims import claiming, handing, taking, verdicts
from cronkite.database import clock, quirks
from cronkite.engines import following
from cronkite.exceptions import OneOffIsOver
from cronkite.models import Job, Log, Task
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp, Decision
from proof.interleavings import server
from proof.interleavings.explorer import Actions, Order

Status = Log.Status


Row = TypeVar("Row", "JobRow", "LogRow")


class JobRow(NamedTuple):
    """What the promises are about, of a job."""

    enabled: bool
    fence: int
    lock: str | None
    next_run: datetime | None
    last_slot: datetime | None


class LogRow(NamedTuple):
    """What the promises are about, of a log."""

    job_id: int | None
    fence: int | None
    status: str
    missed: int
    slot: datetime | None
    attempt: int


class Violation(AssertionError):
    """A promise does not hold after an order. ``counts`` is for the tally."""

    def __init__(self, what: str, order: Order, **counts: int) -> None:
        super().__init__(f"{what}: {order}")
        self.counts = counts


class World:
    """A job with one slot that is due; ``starts`` are the claims whose functions were called.

    If it is not ``alone``, there are other jobs, which have worlds of their own.
    """

    def __init__(self, job: Job, *, alone: bool = True) -> None:
        self.job = job
        self._alone = alone
        self.slot = job.next_run
        self.before = self.slot - timedelta(hours=1)
        self.starts: list[verdicts.Claim] = []
        self._first = Job.objects.filter(pk=job.pk).values().get()
        self._newest: tuple = ()
        self._errors: list[str] = []
        self._lived_on: set[tuple] = set()
        #: Whether the job is handed over, to an engine whose queue is in this database.
        self.hands_over = False

    # The first state.

    def reset(self, **columns) -> None:
        """Put the tables into their first state, in which the job has these ``columns``."""
        Log.objects.all()._raw_delete("default")
        if self.hands_over:
            Task.objects.all()._raw_delete("default")
            DBTaskResult.objects.all()._raw_delete("default")
        kept = {column: value for column, value in self._first.items() if column != "due_at"}  # the database keeps it
        values = {**kept, **columns}
        if not Job.objects.filter(pk=self.job.pk).write(**{k: v for k, v in values.items() if k != "id"}):
            Job.objects.bulk_create([Job(**values)])
        self.starts, self._newest = [], ()
        self._errors.clear()

    def reset_one_off(self) -> None:
        """Have the slot that is due be the only one that there is."""
        self.reset(schedule=f"@at {self.slot:%Y-%m-%dT%H:%M:%S}Z")

    def reset_held(self, node: str) -> verdicts.Claim:
        """Have ``node`` hold the lock for the slot before this one, in a run that has shown no life for too long."""
        token = "00000000-0000-4000-8000-000000000001"
        an_hour_ago = clock.Now() - timedelta(hours=1)
        self.reset(lock=token, locked_by=node, locked_at=an_hour_ago, fence=5, last_slot=self.before)
        log = Log.objects.create(
            job=self.job, job_name=self.job.name, function=self.job.function, slot=self.before, fence=5, node=node,
            created=clock.Now(), started_at=clock.Now(),
        )  # fmt: skip
        return verdicts.Claim(
            token=token, fence=5, job_id=self.job.pk, job_name=self.job.name, function=self.job.function, args=[],
            kwargs={}, timeout=None, slot=self.before, next_run=self.slot, log_id=log.pk,
        )  # fmt: skip

    def reset_retry(self, **columns) -> Job:
        """Have the slot before this one be tried again, as it failed; return what a tick reads then."""
        an_hour_ago = clock.Now() - timedelta(hours=1)
        retry = {"retry_slot": self.before, "retry_attempt": 2, "retry_at": an_hour_ago, "retries": 2}
        self.reset(**{"fence": 5, "last_slot": self.before, "retry_until": "last retry", **retry, **columns})
        Log.objects.create(
            job=self.job, job_name=self.job.name, function=self.job.function, slot=self.before, fence=5, node="before",
            created=clock.Now(), started_at=clock.Now(), status=Status.FAILED,
        )  # fmt: skip
        return Job.objects.agenda().get(pk=self.job.pk)

    def reset_asked(self) -> Job:
        """Have somebody ask for the job, which is due, too; return what a tick reads then."""
        self.reset(asked_at=clock.Now(), asked_by="anna")
        return Job.objects.agenda().get(pk=self.job.pk)

    # What nodes do.

    def read(self) -> Job | None:
        """What a tick reads: the job, if it is due."""
        return Job.objects.queue().filter(pk=self.job.pk).first()

    def claim(self, node: str, read: Job | None = None) -> None:
        """What a tick does, up to the call of the function. The job may have been read before."""
        job = read or self.read()
        if job is not None:
            claim = claiming.claim(job, self.decide(job), node)
            if claim is not None:
                self.start(claim)

    def take_over(self, node: str, read: Job, lost: Mapping[int, int]) -> None:
        """What a tick does with a stale lock, of which all that is read before the transaction was read before."""
        if read is not None:
            claim = claiming.claim(read, self.decide(read), node, partial(taking.in_steps, lost=lost))
            if claim is not None:
                self.start(claim)

    def claim_retry(self, node: str, read: Job) -> None:
        """What a tick does with a slot that is to be tried again, up to the call of the function."""
        claim = claiming.claim_retry(read, node)
        if claim is not None:
            self.start(claim)

    def claim_asked(self, node: str, read: Job) -> None:
        """What a tick does with the request for the job that it has read, up to the call of the function."""
        claim = claiming.claim_asked(read, node)
        if claim is not None:
            self.start(claim)

    def reset_handed(self, **columns) -> None:
        """Have the task of the slot before this one be over, and be asked about; this slot is to be handed over."""
        self.hands_over = True
        self.reset(fence=5, last_slot=self.before, follow_at=clock.Now() - timedelta(hours=1), **columns)
        result = handed.bill.enqueue()
        DBTaskResult.objects.update(status="SUCCESSFUL", return_value=1)
        Log.objects.create(
            job=self.job, job_name=self.job.name, function=self.job.function, slot=self.before, fence=5, node="before",
            created=clock.Now(), status=Status.HANDED_OVER, engine="django.tasks", task_id=result.id,
        )  # fmt: skip
        Task.objects.create(
            job=self.job, fence=5, engine="django.tasks", backend="db", task_id=result.id,
            created=clock.Now(), ask_at=clock.Now() - timedelta(hours=1),
        )  # fmt: skip

    def hand_over(self, node: str, read: Job | None = None) -> None:
        """What a tick does with a job whose function is a task."""
        job = read or self.read()
        if job is not None:
            claiming.claim_all([(job, self.decide(job))], node, handing.joined(enqueue, ()))

    def read_to_follow(self) -> Job:
        """What a tick reads of a job whose tasks are to be asked about."""
        return Job.objects.agenda().get(pk=self.job.pk)

    def look(self, read: Job) -> list[following.Group]:
        """What a tick does first about the tasks of a job that it has read."""
        return following.look([read])

    def ask(self, group: following.Group) -> None:
        """What it does about those that are its to ask about."""
        following.ask(group)

    def decide(self, read: Job) -> Decision:
        """What a tick makes of the job that it has read."""
        return catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)

    def start(self, claim: verdicts.Claim) -> None:
        """The function is called."""
        self.starts.append(claim)

    def edit(self, **columns) -> None:
        """What the admin does when somebody saves a form."""
        job = Job.objects.get(pk=self.job.pk)
        for column, value in columns.items():
            setattr(job, column, value)
        job.save(update_fields=list(columns))

    def save_as_read(self) -> None:
        """What code does that saves all of a job; of a one-off that is done meanwhile, it is told so."""
        job = Job.objects.get(pk=self.job.pk)
        job.description = "New."
        with suppress(OneOffIsOver):
            job.save()

    def delete(self) -> None:
        """What the admin does when somebody deletes the job."""
        Job.objects.get(pk=self.job.pk).delete()

    # What must be true.

    def check(self, order: Order) -> None:
        """Hold the tables to the promises: after each commit, and at the end."""
        started = Counter((claim.slot, claim.attempt) for claim in self.starts)
        if twice := sum(started.values()) - len(started):
            raise Violation("a slot was started twice", order, duplicates=twice)
        logs = _rows(LogRow, "cronkite_log", None if self._alone else f"job_id = {self.job.pk}")
        claimed = Counter((log.slot, log.attempt) for log in logs if log.slot and log.fence is not None)
        if twice := sum(claimed.values()) - len(claimed):
            raise Violation("a slot was claimed twice", order, duplicates=twice)
        if self._errors:
            raise Violation("the constraint had to step in", order)
        job = next(iter(_rows(JobRow, "cronkite_job", None if self._alone else f"id = {self.job.pk}")), None)
        if self.hands_over:
            self._check_tasks(logs, order)
        self._check_lock(job, logs, order)
        self._check_slots(job, logs, order)
        if order.is_over:
            for actor in order.actors:
                if not _may_end_with(actor.error):
                    raise Violation(f"{actor.name} ended with {actor.error!r}", order)
            if job is None and any(log.status == Status.RUNNING for log in logs):
                raise Violation("a run goes on for ever, as its job is gone", order)
            if job is not None:
                self._check_future(job, logs, order)

    def _check_tasks(self, logs: list[LogRow], order: Order) -> None:
        """Promise P7: a task and its log, or neither. And whoever is to be asked about is asked about."""
        claimed = sum(log.fence is not None for log in logs)
        tasks = DBTaskResult.objects.count()
        if tasks > claimed:
            raise Violation("a task without its log", order, duplicates=tasks - claimed)
        if tasks < claimed:
            raise Violation("a log without its task", order, unaccounted=claimed - tasks)
        followed = set(Task.objects.values_list("job_id", flat=True))
        if order.is_over and Job.objects.filter(pk__in=followed, follow_at=None).exists():
            raise Violation("a task that nobody asks about", order)

    def _check_lock(self, job: JobRow | None, logs: list[LogRow], order: Order) -> None:
        running = [log.fence for log in logs if log.status == Status.RUNNING and log.job_id]
        if len(running) > 1:
            raise Violation("two runs are live", order)
        if job is None:
            return
        if job.lock is None and running:
            raise Violation("a run without its lock", order)
        if job.lock is not None and running != [job.fence]:
            raise Violation("a lock without its run", order)

    def _check_slots(self, job: JobRow | None, logs: list[LogRow], order: Order) -> None:
        accounted = sum(log.missed + 1 for log in logs if log.slot and log.slot >= self.slot)
        is_to_come = job is not None and job.enabled and job.next_run <= self.slot
        if accounted != (0 if is_to_come else 1):
            known = "and is still to come" if is_to_come else f"instead of once{'' if job else ', and the job is gone'}"
            raise Violation(
                f"the slot is accounted for {accounted} times {known}", order, unaccounted=int(not accounted)
            )
        if job is None:
            return
        newest = (job.fence, job.last_slot or self.before)
        if self._newest and any(now < then for now, then in zip(newest, self._newest, strict=True)):
            raise Violation("the fencing token or the last slot went back", order)
        self._newest = newest
        if job.enabled and job.last_slot and job.next_run <= job.last_slot:
            raise Violation("the next run is none that can be claimed", order)

    def _check_future(self, job: JobRow, logs: list[LogRow], order: Order) -> None:
        """Once its lock is stale, the job must run again; and the database itself refuses what was claimed before.

        This takes many statements, and what comes of them follows from this ``state``. So each is looked at once.
        """
        is_due = job.enabled and job.next_run <= self.slot
        state = (job.enabled, is_due, job.lock is None, job.fence, job.last_slot, *(log[1:] for log in logs))
        if state in self._lived_on:
            return
        self._lived_on.add(state)
        slot = next((log.slot for log in logs), None)
        if slot and not _is_refused(Log(job=self.job, slot=slot, fence=99, created=clock.Now())):
            raise Violation("the database does not refuse a second log of a slot", order)
        if job.lock is not None:
            Job.objects.filter(pk=self.job.pk).write(locked_at=clock.Now() - timedelta(hours=2))
        try:
            if self.hands_over:
                return
            waits = Job.objects.agenda().filter(pk=self.job.pk, retry_at__isnull=False).first()
            if waits is not None and waits.is_retry:
                self.claim_retry("afterwards", waits)
                lives = self.starts and self.starts[-1].fence == job.fence + 1
            elif is_due:
                self.claim("afterwards")
                lives = self.starts and self.starts[-1].fence == job.fence + 1
            else:
                lives = claiming.claim_by_hand(self.job, "afterwards").fence == job.fence + 1
        except DatabaseError as error:
            raise Violation(f"the job can never run again ({error!r})", order) from error
        if not lives:
            raise Violation("the job can never run again", order)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take it for a violation if the code had to be saved by the constraint, which it logs as an error."""
        logger, handler = logging.getLogger("cronkite"), logging.Handler(logging.ERROR)
        handler.emit = lambda record: self._errors.append(record.getMessage())
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)


def purged(meeting: Callable[[], Actions]) -> Callable[[], Actions]:
    """Have a meeting of several jobs begin when InnoDB has dropped what was deleted for it.

    Else the nodes, each of which writes logs of its own, wait for each other or not, as the purge has just come by.
    """

    def begin() -> Actions:
        actions = meeting()
        server.wait_until_purged()
        return actions

    return begin


def claim_all(node: str, worlds: list[World], reads: list[Job]) -> None:
    """What a tick does that has read several jobs and has a worker for each."""
    wanted = [(read, world.decide(read)) for world, read in zip(worlds, reads, strict=True)]
    for world, claim in zip(worlds, claiming.claim_all(wanted, node), strict=True):
        if claim is not None:
            world.start(claim)


def enqueue(claim: verdicts.Claim) -> verdicts.Receipt:
    """Have the engine take a task for the claim."""
    result = handed.bill.enqueue()
    return verdicts.Receipt("django.tasks", str(result.id), "db", "default")


def _rows(kind: type[Row], table: str, condition: str | None) -> list[Row]:
    """Return rows of a table. By hand: with the ORM, the looking would take as long as the orders do."""
    columns = ", ".join(map(connection.ops.quote_name, kind._fields))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} {f'WHERE {condition}' if condition else ''} ORDER BY id")
        rows = cursor.fetchall()
    is_date = [name in ("next_run", "last_slot", "slot") for name in kind._fields]
    return [kind(*(clock.as_utc(v) if date and v else v for v, date in zip(row, is_date, strict=True))) for row in rows]


def _is_refused(log: Log) -> bool:
    try:
        with transaction.atomic():
            log.save()
            transaction.set_rollback(True)
    except IntegrityError:
        return True
    return False


def _may_end_with(error: Exception | None) -> bool:
    """Whether a node may end so: well, or sent away by the database in favour of another."""
    return (
        error is None
        or isinstance(error, verdicts.Contention)
        or (isinstance(error, DatabaseError) and quirks.is_conflict(error))
    )
