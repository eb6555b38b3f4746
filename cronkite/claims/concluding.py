"""How does the log of a task learn what became of it?

Engines are asked elsewhere. Here it is settled who asks, and what has been told is written: how tasks ended, whose lock
and seat are free with that, and when to ask again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.db.models import OuterRef, Subquery

from cronkite.claims import skips
from cronkite.claims.handing import FIRST
from cronkite.code.outcomes import Outcome
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.database.statements import Update, place
from cronkite.models import Job, Log, Task, primary, told
from cronkite.models.logs import LogQuerySet, also
from cronkite.models.queries import FREE, JobQuerySet

#: How long the tasks are left alone whose turn it is, as somebody asks, who may die over it.
RESERVED = timedelta(seconds=30)


class Ended(NamedTuple):
    """What became of a task: how it ended, when (UTC, by the engine's clock) and who worked on it."""

    task: Task
    outcome: Outcome
    started_at: datetime | None
    finished_at: datetime | None
    worker: str


class Answers(NamedTuple):
    """What engines have told: which tasks have ended, of which nothing will be known, and why, and which go on.

    Those that go on have in ``ask_at`` when to ask again.
    """

    ended: list[Ended]
    unknown: list[tuple[Task, str]]
    going_on: list[Task]


def reserve(jobs: Collection[Job], most: int) -> tuple[list[Job], list[Task]]:
    """Return those of the jobs whose tasks it is for us to ask about, and ``most`` of the tasks that it is time for.

    Others leave them alone for a while.
    """
    using = primary.alias()
    return quirks.anew(using, lambda: _reserved(jobs, most, using))


def _reserved(jobs: Collection[Job], most: int, using: str) -> tuple[list[Job], list[Task]]:
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


def writable(answers: Answers) -> Answers:
    """Return the answers without those that can't be written now, as another transaction has locked the tasks' logs.

    Such tasks are asked about again. Raises :class:`django.db.DatabaseError`.
    """
    over = {(task.job_id, task.fence) for task in _over(answers)}
    if not over:
        return answers
    logs = Log.objects.using(primary.alias()).filter(status=Log.Status.HANDED_OVER)
    rows = logs.filter(job__in={job_id for job_id, _ in over}, fence__in={fence for _, fence in over})
    found = quirks.anew(primary.alias(), lambda: list(rows.values_list("pk", "job", "fence")))
    keys = {(job_id, fence): key for key, job_id, fence in found}
    locked = skips.held_logs([keys[each] for each in over if each in keys])
    held = {each for each in over if keys.get(each) in locked}
    return Answers(
        [each for each in answers.ended if (each.task.job_id, each.task.fence) not in held],
        [(task, why) for task, why in answers.unknown if (task.job_id, task.fence) not in held],
        answers.going_on,
    )


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


def _tell_ends(answers: Answers, using: str) -> None:
    """Write into the logs what became of tasks; of one that is told of twice, the second time changes nothing."""
    logs = Log.objects.using(using).filter(status=Log.Status.HANDED_OVER)
    with waits.limited(using):
        for task, outcome, started_at, finished_at, worker in answers.ended:
            is_told = _of(task, logs).update(
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
            _of(task, logs).update(reason=also(why))


def _of(task: Task, logs: LogQuerySet) -> LogQuerySet:
    """Return the log of the task. By the number of the claim alone, it might be another job's that is at the key."""
    return logs.filter(job=task.job_id, fence=task.fence, engine=task.engine, task_id=task.task_id)


def _plan(answers: Answers, jobs: Collection[int], using: str) -> None:
    """Forget the tasks that are over, free what was kept for them, and say when to ask about the others."""
    over = _over(answers)
    with waits.limited(using):
        # Who hands over writes the job's row before the task. So none is being added that can't be seen here.
        available = waits.lock_available(Job, sorted(jobs), using)
        over = [task for task in over if task.job_id in available]
        for task in over:
            _free(task, using)
        if get_conf().lock_timeout is None:
            # Or its lock would be taken for that of a run which is gone. With a timeout, that is what it goes by.
            for task in answers.going_on:
                if task.lock is not None and task.job_id in available:
                    _held(task, using).write(locked_at=Now())
        for at, group in groupby(sorted(answers.going_on, key=_turn), key=_turn):
            _put_off(list(group), at, using)
        Task.objects.using(using).filter(pk__in=[task.pk for task in over]).delete()
        Job.objects.using(using).filter(pk__in=available).write(follow_at=_next_turn(using))


def _over(answers: Answers) -> list[Task]:
    return [each.task for each in answers.ended] + [task for task, _ in answers.unknown]


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


def _reserve(using: str, variant: None) -> tuple[JobQuerySet, dict[str, Any]]:
    row = Job.objects.using(using).filter(pk=place(Job, "id", "pk"), follow_at=place(Job, "follow_at", "follow_at"))
    return row, {"follow_at": Now() + RESERVED}


_RESERVE = Update(_reserve)
