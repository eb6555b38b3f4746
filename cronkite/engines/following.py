"""What became of the tasks that were handed over?

Each is asked about when its turn comes, many at a time, and each place by itself: one that does not answer holds up no
other.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from cronkite.claims import concluding
from cronkite.claims.concluding import Answers, Ended
from cronkite.code import modules
from cronkite.engines import kinds
from cronkite.engines.kinds import Told
from cronkite.models import Job, Task

logger = logging.getLogger("cronkite")

#: How many tasks are asked about at most at a time.
MOST = 500
#: A task is asked about again after a tenth of its age, but not sooner or later than this.
SOONEST, LATEST = timedelta(seconds=1), timedelta(minutes=1)
#: For how long a task is followed that its engine has nothing to tell of.
PATIENCE = timedelta(days=7)
#: For how long (seconds) an engine is asked about the next task when it has failed at one.
FAULTS = 10.0
#: Why a task is followed no more.
FORGOTTEN = "its engine does not know of the task any more"
SILENT = f"its engine had nothing to tell of the task for {PATIENCE.days} days"


class Group(NamedTuple):
    """Tasks that one place, an engine's backend, is to be asked about; ``jobs`` are theirs, by their keys."""

    place: tuple[str, str]
    tasks: list[Task]
    jobs: dict[int, Job]


def look(jobs: list[Job]) -> list[Group]:
    """Return the tasks of ``jobs``, which come from a look at what is due, that it is for us to ask about now.

    Raises :class:`django.db.DatabaseError`.
    """
    ours, tasks = concluding.reserve(jobs, MOST)
    by_key = {job.pk: job for job in ours}
    groups: dict[tuple[str, str], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task.engine, task.backend].append(task)
    if idle := by_key.keys() - {task.job_id for task in tasks}:
        concluding.conclude(Answers([], [], []), idle)
    return [
        Group(place, found, {each.job_id: by_key[each.job_id] for each in found}) for place, found in groups.items()
    ]


def ask(group: Group) -> datetime | None:
    """Ask what became of the tasks, and write that; return when to ask again about one of their jobs, if at all.

    By the database's clock. Raises :class:`django.db.DatabaseError`; what an engine raises is logged, and it is asked
    again.
    """
    now = max(job.now for job in group.jobs.values())
    by_code: dict[str, list[Task]] = defaultdict(list)
    for task in group.tasks:
        by_code[_code(task, group.jobs)].append(task)
    again: list[datetime | None] = []
    for tasks in by_code.values():
        answers = concluding.writable(_ask(tasks, group.jobs[tasks[0].job_id], now))
        again.append(concluding.conclude(answers, {task.job_id for task in tasks}))
        for task, outcome, *_ in answers.ended:
            level = logging.INFO if outcome.status == "succeeded" else logging.ERROR
            name, said = group.jobs[task.job_id].name, {"traceback": outcome.exc_info} if outcome.exc_info else None
            # The traceback is the engine's, and a text: who wants it finds it at the record.
            logger.log(level, "Job %r: the task %s has %s.", name, task, outcome.status, extra=said)
    return min(filter(None, again), default=None)


def follow(jobs: list[Job]) -> datetime | None:
    """Do both, one place after the other."""
    return min(filter(None, map(ask, look(jobs))), default=None)


def _ask(tasks: list[Task], job: Job, now: datetime) -> Answers:
    """Return what the engine tells of the tasks; one of which it tells nothing is taken to go on."""
    ended, unknown, going_on = answers = Answers([], [], [])
    told = dict(_told(tasks, job))
    for task in tasks:
        said = told.get(task.task_id, Told())
        if said is None:
            unknown.append((task, FORGOTTEN))
        elif said.outcome is not None:
            ended.append(Ended(task, said.outcome, said.started_at, said.finished_at, said.worker))
        elif now - task.created > PATIENCE and not said.is_running:
            unknown.append((task, SILENT))
        else:
            # In whole seconds: who is asked about at the same time is written at the same time.
            age = timedelta(seconds=(now - task.created) // timedelta(seconds=10))
            task.ask_at = now + min(max(age, SOONEST), LATEST)
            going_on.append(task)
    return answers


def _code(task: Task, jobs: dict[int, Job]) -> str:
    """Return what stands for the code that it takes to ask about the task; nothing if it takes none."""
    try:
        return jobs[task.job_id].function if kinds.get(task.engine).NEEDS_CODE else ""
    except Exception:  # noqa: BLE001 - it is not installed, say: who asks is told so
        return ""


def _told(tasks: list[Task], job: Job) -> Iterator[tuple[str, Told | None]]:
    """Yield what the engine tells of the tasks, by their ids. One at which it fails keeps no other from being told."""
    one, left, failed, began = tasks[0], [task.task_id for task in tasks], 0, time.monotonic()
    error: Exception | None = None
    while left and time.monotonic() < began + FAULTS:
        try:
            with kinds.bearing():
                for task_id, said in kinds.get(one.engine).tell(job, one.backend, list(left)):
                    left.remove(task_id)
                    yield task_id, said
            break
        except Exception as raised:  # noqa: BLE001 - an engine may raise anything
            # It tells in the order in which it is asked.
            del left[0]
            failed, error = failed + 1, raised
    if error is not None:
        said_of = "%s does not tell what became of %d tasks; it is asked again. %s"
        logger.warning(said_of, one.engine, failed + len(left), modules.said(error))
