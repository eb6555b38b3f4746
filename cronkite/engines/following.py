"""What became of the tasks that were handed over?"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import datetime, timedelta

from cronkite.claims import handing
from cronkite.claims.handing import Answers, Ended
from cronkite.engines import kinds
from cronkite.engines.kinds import Told
from cronkite.models import Job, Task, primary

logger = logging.getLogger("cronkite")

#: How many jobs are seen to, and how many of their tasks are asked about, at most at a time: meanwhile their rows are
#: locked.
JOBS, MOST = 100, 500
#: A task is asked about again after a tenth of its age, but not sooner or later than this.
SOONEST, LATEST = timedelta(seconds=1), timedelta(minutes=1)
#: For how long a task is followed that its engine has nothing to tell of.
PATIENCE = timedelta(days=7)
#: Why a task is followed no more.
FORGOTTEN = "its engine does not know of the task any more"
SILENT = f"its engine had nothing to tell of the task for {PATIENCE.days} days"


def follow(jobs: list[Job]) -> datetime | None:
    """Ask the engines what became of the tasks of ``jobs``, which come from a look at what is due, and write that.

    Returns when to ask again, by the database's clock, or ``None`` if nothing is left. Raises
    :class:`django.db.DatabaseError`; what an engine raises is logged, and it is asked again.
    """
    again = [_follow(jobs[start : start + JOBS]) for start in range(0, len(jobs), JOBS)]
    return min(filter(None, again), default=None)


def _follow(jobs: list[Job]) -> datetime | None:
    jobs = handing.reserve(jobs)
    if not jobs:
        return None
    now = max(job.now for job in jobs)
    found = Task.objects.using(primary.alias()).filter(job__in=[job.pk for job in jobs]).order_by("pk")
    waiting = list(found[:MOST])
    by_key = {job.pk: job for job in jobs}
    answers = _ask(waiting, by_key, now)
    again: dict[Job, datetime | None] = dict.fromkeys(jobs)
    for task in answers.going_on:
        job = by_key[task.job_id]
        at = now + min(max((now - task.created) / 10, SOONEST), LATEST)
        again[job] = min(filter(None, [again[job], at]))
    if len(waiting) == MOST:
        # There are more.
        again = dict.fromkeys(jobs, now)
    handing.conclude(answers, again)
    for task, outcome, *_ in answers.ended:
        level = logging.INFO if outcome.status == "succeeded" else logging.ERROR
        logger.log(level, "Job %r: the task %s has %s.", by_key[task.job_id].name, task, outcome.status)
    return min(filter(None, again.values()), default=None)


def _ask(waiting: list[Task], jobs: dict[int, Job], now: datetime) -> Answers:
    """Return what the engines tell of the tasks; one that does not answer is taken to say that they go on."""
    ended, unknown, left = answers = Answers([], [], [])
    groups: dict[tuple[str, str, str], list[Task]] = defaultdict(list)
    for task in waiting:
        groups[task.engine, task.backend, _code(task, jobs)].append(task)
    for group in groups.values():
        told = _told(group, jobs[group[0].job_id])
        for task in group:
            if told is None:
                left.append(task)
                continue
            said = told.get(task.task_id)
            if said is None:
                unknown.append((task, FORGOTTEN))
            elif said.outcome is not None:
                ended.append(Ended(task, said.outcome, said.started_at, said.finished_at, said.worker))
            elif now - task.created > PATIENCE and not said.is_running:
                unknown.append((task, SILENT))
            else:
                left.append(task)
    return answers


def _code(task: Task, jobs: dict[int, Job]) -> str:
    """Return what stands for the code that it takes to ask about the task; nothing if it takes none."""
    try:
        return jobs[task.job_id].function if kinds.get(task.engine).NEEDS_CODE else ""
    except LookupError:
        return ""


def _told(group: list[Task], job: Job) -> dict[str, Told | None] | None:
    """Return what the engine tells of tasks, by their ids; ``None`` if it does not answer."""
    one = group[0]
    try:
        return dict(kinds.get(one.engine).tell(job, one.backend, [task.task_id for task in group]))
    except Exception as error:  # noqa: BLE001 - an engine may raise anything
        said = "%s does not tell what became of %d tasks; it is asked again. %s: %s"
        logger.warning(said, one.engine, len(group), type(error).__name__, error)
        return None
