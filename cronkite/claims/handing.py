"""How is a slot handed over to an engine, and how does its log learn what became of it?

Promise P7: where the engine keeps its queue in this very database, the claim, the task and the log are one transaction.
A crash leaves all of them, or the slot still due. Several slots share it, step by step: all that can be had are taken,
each by a verdict of its own; then their tasks are enqueued; then their logs are written. Elsewhere the slot is claimed
first, as for a run, and handed over then: at most once.

The lock ends with the hand-off, unless the job waits for its task: then it stays until the engine says that the task
has ended, or until it is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce, Least

from cronkite.claims import retries, seats, taking
from cronkite.claims.taking import Attempt
from cronkite.claims.verdicts import UNFIT, Claim, NotHandedOver, Receipt, raise_unclaimed
from cronkite.code.outcomes import Outcome
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.database.batches import Each, Rows
from cronkite.database.clock import Now
from cronkite.database.statements import Update, place, stand_in
from cronkite.models import Job, Log, Task, primary, told
from cronkite.models.logs import also
from cronkite.models.queries import FREE, JobQuerySet

#: How long after the hand-off, and after a crash of who asked, it is asked what became of a task.
FIRST = timedelta(seconds=1)
RESERVED = timedelta(seconds=30)

#: Hands over what is claimed, and returns the receipt; raises whatever it likes.
Enqueue = Callable[[Claim], Receipt]
#: Has what is handed over meanwhile, in the database that it is given, be there when it ends.
Together = Callable[[str], AbstractContextManager[object]]


class Handed(NamedTuple):
    """A claim whose task an engine has been given."""

    claim: Claim
    receipt: Receipt
    keeps_lock: bool

    @property
    def reason(self) -> str:
        """What people have to know of it."""
        return "; ".join(filter(None, [self.claim.reason, self.receipt.note]))

    @property
    def lock(self) -> UUID | None:
        """What the task keeps locked."""
        return self.claim.token if self.keeps_lock else None


class _Entry(NamedTuple):
    """What the log of a claim is about that was handed over as it was taken."""

    attempt: Attempt
    handed: Handed


class Ended(NamedTuple):
    """What became of a task: how it ended, when (UTC, by the engine's clock) and who worked on it."""

    task: Task
    outcome: Outcome
    started_at: datetime | None
    finished_at: datetime | None
    worker: str


def joined(
    enqueue: Enqueue, keeping: Collection[int], together: Together = nullcontext
) -> Callable[[list[Attempt], str], list[Claim]]:
    """Return what takes slots and hands them over, for :func:`cronkite.claims.claiming.claim_all`; all or nothing.

    ``enqueue`` writes the task into this database, over this connection; or, within ``together(using)``, has it written
    when that ends. ``keeping`` are the keys of the jobs whose lock is kept. Raises :class:`NotHandedOver` for what
    either raises: for the claim itself if there is only one, else for any of them.
    """

    def take(attempts: list[Attempt], using: str) -> list[Claim]:
        take_each = _ready(attempts, keeping, using)
        taken: list[Handed] = []
        try:
            with waits.limited(using):
                available = waits.lock_available(Job, [attempt.job.pk for attempt in attempts], using)
                ours = take_each(available)
                for attempt in ours:
                    if attempt.job.is_locked:
                        taking.mark_lost(attempt.job.pk, attempt.node, using)
                receipts = _enqueue_all(ours, enqueue, together, using)
                for attempt, receipt in zip(ours, receipts, strict=True):
                    taken.append(Handed(attempt.claim, receipt, _keeps(attempt, keeping)))
                _NEW_LOGS.execute(using, [_Entry(*each) for each in zip(ours, taken, strict=True)])
                _expect(taken, using)
        except UNFIT:
            raise
        except DatabaseError as error:
            # Whether it was committed need not be found out: the row tells whoever looks next.
            raise_unclaimed(error, [], using)
        return [replace(claim, receipt=receipt) for claim, receipt, _ in taken]

    return take


def record(handed: list[Handed]) -> list[Claim]:
    """Write that what was claimed, as for a run, has been handed over; return those that had lost their lock before.

    Raises :class:`django.db.DatabaseError`. Safe to be called again.
    """
    using = primary.alias()
    return quirks.anew(using, lambda: _record(handed, using))


def reserve(jobs: Iterable[Job], most: int) -> tuple[list[Job], list[Task]]:
    """Return those of the jobs whose tasks it is for us to ask about, and ``most`` of the tasks that it is time for.

    Others leave them alone for a while.
    """
    using = primary.alias()
    reserves = [(job, _RESERVE.ready(using, job)) for job in sorted(jobs, key=lambda job: job.pk)]
    with waits.limited(using):
        available = waits.lock_available(Job, [job.pk for job, _ in reserves], using)
        ours = [job for job, reserve in reserves if job.pk in available and reserve()]
        if not ours:
            return [], []
        now = max(job.now for job in ours)
        of_jobs = Task.objects.using(using).filter(job__in=[job.pk for job in ours])
        # A job's instant and its task's were told by two statements.
        tasks = list(of_jobs.filter(ask_at__lte=now + FIRST / 2).order_by("ask_at", "pk")[:most])
        _put_off(tasks, now + RESERVED, using)
    return ours, tasks


class Answers(NamedTuple):
    """What engines have told: which tasks have ended, of which nothing will be known, and why, and which go on.

    Those that go on have in ``ask_at`` when to ask again.
    """

    ended: list[Ended]
    unknown: list[tuple[Task, str]]
    going_on: list[Task]


def conclude(answers: Answers, jobs: Collection[int]) -> datetime | None:
    """Write what became of tasks, and when to ask again about the jobs with these keys; return the earliest of that.

    What is about a job whose row another transaction has locked is left for the next time that somebody asks. Raises
    :class:`django.db.DatabaseError`. Safe to be called again.
    """
    using = primary.alias()
    if answers.ended or answers.unknown:
        # By itself, as there may be hundreds: the jobs' rows are not kept from who hands over meanwhile.
        quirks.anew(using, lambda: _tell_ends(answers, using))
    quirks.anew(using, lambda: _plan(answers, jobs, using))
    rows = Job.objects.using(using).filter(pk__in=jobs, follow_at__isnull=False)
    return rows.order_by("follow_at").values_list("follow_at", flat=True).first()


def _ready(attempts: list[Attempt], keeping: Collection[int], using: str) -> Callable[[set[int]], list[Attempt]]:
    """Return what takes the slots of those jobs whose keys it is given; it tells which it could have."""
    timeout = get_conf().lock_timeout
    groups = seats.groups_of([attempt.job for attempt in attempts], using)
    free = [attempt for attempt in attempts if not _keeps(attempt, keeping)]
    kept = [attempt for attempt in attempts if _keeps(attempt, keeping) and not attempt.job.group]
    ready = [
        (batch, _HAND_EACH_OVER.ready(using, batch, _Handing(timeout, keeps_lock)))
        for batch, keeps_lock in ((free, False), (kept, True))
        if batch
    ]

    def take(available: set[int]) -> list[Attempt]:
        taken: list[Attempt] = []
        for batch, take_each in ready:
            chosen = [n for n, attempt in enumerate(batch) if attempt.job.pk in available]
            taken += [batch[n] for n in take_each(chosen)]
        if seated := taking.seated(attempts, available, groups, using):
            take_each = _HAND_EACH_OVER.ready(using, seated, _Handing(timeout, keeps_lock=True, has_seat=True))
            taken += [seated[n] for n in take_each(range(len(seated)))]
        return taken

    return take


def _keeps(attempt: Attempt, keeping: Collection[int]) -> bool:
    """Whether the lock is kept until the task has ended: so is a seat."""
    return attempt.job.pk in keeping or bool(attempt.job.group)


def _enqueue_all(ours: list[Attempt], enqueue: Enqueue, together: Together, using: str) -> list[Receipt]:
    if len(ours) <= 1:
        # What is raised is about this one, then.
        return [_enqueue(enqueue, attempt.claim, using) for attempt in ours]
    with _refusal(ours[-1].claim, using), together(using):
        return [_enqueue(enqueue, attempt.claim, using) for attempt in ours]


def _enqueue(enqueue: Enqueue, claim: Claim, using: str) -> Receipt:
    with _refusal(claim, using):
        return enqueue(claim)


@contextmanager
def _refusal(claim: Claim, using: str) -> Iterator[None]:
    """Raise :class:`NotHandedOver` for what an engine raises."""
    try:
        yield
    except NotHandedOver:
        raise
    except Exception as error:
        # What the database has against all of us is not the task's fault.
        if isinstance(error, DatabaseError) and (quirks.is_conflict(error) or not _answers(error, using)):
            raise
        raise NotHandedOver(claim, error) from error


def _answers(error: DatabaseError, using: str) -> bool:
    connection = connections[using]
    return quirks.is_refusal(error) or connection.vendor == "sqlite" or quirks.lives(connection)


def _expect(handed: Iterable[Handed], using: str) -> None:
    """Have it asked what becomes of the tasks."""
    _NEW_TASKS.execute(using, [each for each in handed if each.receipt.is_followed])


def _record(handed: list[Handed], using: str) -> list[Claim]:
    lost = []
    steps = [
        (each, _RELEASE.ready(using, each, (each.keeps_lock, each.claim.slot is not None)), _TELL.ready(using, each))
        for each in sorted(handed, key=lambda each: each.claim.job_id)
    ]
    with waits.limited(using):
        for each, release, tell in steps:
            release()
            # Its lock may be another's by now. Who was given the task is told all the same.
            if not tell() and _tell_late(each, using):
                lost.append(each.claim)
        _expect([each for each in handed if each.claim not in lost], using)
    return lost


def _tell_late(each: Handed, using: str) -> int:
    log = Log.objects.using(using).filter(pk=each.claim.log_id, status=Log.Status.LOST)
    return log.update(
        engine=each.receipt.engine,
        backend=each.receipt.backend,
        queue=each.receipt.queue,
        task_id=each.receipt.task_id,
        reason=also("its lock was lost before it was known that the engine has the task"),
    )


def _tell_ends(answers: Answers, using: str) -> None:
    """Write into the logs what became of tasks; of one that is told of twice, the second time changes nothing."""
    logs = Log.objects.using(using).filter(status=Log.Status.HANDED_OVER)
    with waits.limited(using):
        for task, outcome, started_at, finished_at, worker in answers.ended:
            is_told = logs.filter(job=task.job_id, fence=task.fence).update(
                status=outcome.status,
                result=outcome.result,
                exc_info=outcome.exc_info,
                started_at=started_at,
                finished_at=Now() if finished_at is None else finished_at,
                worker=worker[:255],
                **({"reason": also(outcome.reason)} if outcome.reason else {}),
            )
            if is_told:
                told.task_ended(task.job_id, task.fence)
        for task, why in answers.unknown:
            logs.filter(job=task.job_id, fence=task.fence).update(reason=also(why))


def _plan(answers: Answers, jobs: Collection[int], using: str) -> None:
    """Forget the tasks that are over, free what was kept for them, and say when to ask about the others."""
    over = [each.task for each in answers.ended] + [task for task, _ in answers.unknown]
    with waits.limited(using):
        # Who hands over writes the job's row before the task. So none is being added that can't be seen here.
        available = waits.lock_available(Job, sorted(jobs), using)
        over = [task for task in over if task.job_id in available]
        for task in over:
            _free(task, using)
        if get_conf().lock_timeout is None:
            # Or its lock would be taken for that of a run which is gone. With a timeout, that is what it goes by.
            for task in answers.going_on:
                if task.lock is not None:
                    _held(task, using).write(locked_at=Now())
        for at, group in groupby(sorted(answers.going_on, key=_turn), key=_turn):
            _put_off(list(group), at, using)
        Task.objects.using(using).filter(pk__in=[task.pk for task in over]).delete()
        Job.objects.using(using).filter(pk__in=available).write(follow_at=_next_turn(using))


def _turn(task: Task) -> datetime:
    return task.ask_at


def _put_off(tasks: list[Task], at: datetime, using: str) -> None:
    if tasks:
        Task.objects.using(using).filter(pk__in=[task.pk for task in tasks]).update(ask_at=at)


def _next_turn(using: str) -> Subquery:
    """Return when to ask about the first of a job's tasks."""
    tasks = Task.objects.using(using).filter(job=OuterRef("pk")).order_by("ask_at")
    return Subquery(tasks.values("ask_at")[:1])


def _free(task: Task, using: str) -> None:
    if task.lock is not None:
        _held(task, using).write(**FREE)


def _held(task: Task, using: str) -> JobQuerySet:
    return Job.objects.using(using).filter(pk=task.job_id, lock=task.lock, fence=task.fence, lock__isnull=False)


# What is said again and again.


def _soon() -> Coalesce:
    """Return when to ask of the tasks of a job that has one more."""
    return Coalesce(Least("follow_at", Now() + FIRST), Now() + FIRST)


class _Handing(NamedTuple):
    lock_timeout: timedelta | None
    keeps_lock: bool
    has_seat: bool = False


def _hand_over(using: str, variant: _Handing) -> tuple[JobQuerySet, dict[str, Any]]:
    rows, slots = taking.slot_taken(using)
    lock = taking.lock_taken(variant.has_seat) if variant.keeps_lock else FREE
    return rows, {**lock, **slots, **retries.NONE, "follow_at": _soon()}


_HAND_EACH_OVER = Each(Update(_hand_over), "job.pk")


def _new_log() -> Log:
    names = ("job_id", "job_name", "function", "slot", "fence", "attempt")
    claim = vars(stand_in(Log, "handed.claim", **{name: name for name in names}))
    return Log(
        **claim,
        **_receipt("handed.receipt", Log),
        args=place(Log, "args", "handed.claim.kept_args"),
        kwargs=place(Log, "kwargs", "handed.claim.kept_kwargs"),
        reason=place(Log, "reason", "handed.reason"),
        queue=place(Log, "queue", "handed.receipt.queue"),
        node=place(Log, "node", "attempt.node"),
        missed=place(Log, "missed", "attempt.missed"),
        status=Log.Status.HANDED_OVER,
        created=Now(),
    )


def _new_task() -> Task:
    claim = vars(stand_in(Task, "claim", job_id="job_id", fence="fence"))
    row = {**claim, **_receipt("receipt", Task), "lock": place(Task, "lock", "lock")}
    return Task(**row, created=Now(), ask_at=Now() + FIRST)


def _receipt(path: str, model: type[Log | Task]) -> dict[str, Any]:
    columns = stand_in(model, path, engine="engine", backend="backend", task_id="task_id")
    return dict(vars(columns))


_NEW_LOGS = Rows(_new_log)
# They may be there already: what is recorded may be recorded again.
_NEW_TASKS = Rows(_new_task, ignore_conflicts=True)


def _release(using: str, variant: tuple[bool, bool]) -> tuple[JobQuerySet, dict[str, Any]]:
    keeps_lock, has_slot = variant
    held = stand_in(Job, "claim", job_id="id", token="lock", fence="fence")  # noqa: S106 - columns
    rows = Job.objects.using(using).filter(pk=held.job_id, lock=held.token, fence=held.fence)
    lock = {"locked_at": Now()} if keeps_lock else FREE
    # What becomes of the task is its engine's business.
    return rows, {**lock, **(retries.NONE if has_slot else {}), "follow_at": _soon()}


_RELEASE = Update(_release)


def _tell(using: str, variant: None) -> tuple[Any, dict[str, Any]]:
    rows = Log.objects.using(using).filter(pk=place(Log, "id", "claim.log_id"), status=Log.Status.RUNNING)
    receipt = {name: name for name in ("engine", "backend", "queue", "task_id")}
    return rows, {
        "status": Log.Status.HANDED_OVER,
        "started_at": None,
        "reason": place(Log, "reason", "reason"),
        **vars(stand_in(Log, "receipt", **receipt)),
    }


_TELL = Update(_tell)


def _reserve(using: str, variant: None) -> tuple[JobQuerySet, dict[str, Any]]:
    row = Job.objects.using(using).filter(pk=place(Job, "id", "pk"), follow_at=place(Job, "follow_at", "follow_at"))
    return row, {"follow_at": Now() + RESERVED}


_RESERVE = Update(_reserve)
