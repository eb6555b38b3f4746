"""How is the cluster? Who ticks, and which jobs are stuck, fail, come late or had slots missed."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import DatabaseError
from django.db.models import Count, F, Q
from django.db.models.functions import Greatest

from cronkite import clock, skips
from cronkite.models import Job, Log, Node
from cronkite.models.queries import is_stuck

#: How many of a job's newest runs are looked at; whoever failed that often is counted no further.
RUNS = 20
#: How far back missed slots count.
RECENT = timedelta(hours=24)

FAILURES = [Log.Status.FAILED, Log.Status.TIMED_OUT, Log.Status.LOST]


@dataclass(frozen=True)
class NodeHealth:
    """A node, with the time (seconds) since it ticked, and how far (seconds) its clock is ahead, if that is known."""

    name: str
    ticked_at: datetime
    age: float
    skew: float | None
    stays: bool


@dataclass(frozen=True)
class StuckJob:
    """A job whose lock nobody clears but a person; its run was last seen alive ``age`` seconds ago."""

    id: int
    name: str
    locked_by: str
    locked_at: datetime
    age: float


@dataclass(frozen=True)
class FailingJob:
    """A job whose last ``count`` runs have failed, up to ``RUNS``."""

    id: int
    name: str
    count: int


@dataclass(frozen=True)
class MissedSlots:
    """How many slots of a job were missed in the last 24 hours; ``id`` is ``None`` if the job was deleted since."""

    id: int | None
    name: str
    count: int


@dataclass(frozen=True)
class LateJob:
    """A job that is free, and has been due or asked for since ``age`` seconds.

    ``is_held``: another transaction has its row locked at this moment, so that no node can take it.
    """

    id: int
    name: str
    due_at: datetime
    age: float
    is_held: bool


@dataclass(frozen=True)
class Vitals:
    """What there is to know, by the database's clock at ``now``.

    ``jobs``, ``enabled`` and ``running`` are numbers of jobs. ``silent_for`` is the time (seconds) since any node
    ticked; ``None``: none ever did.
    """

    now: datetime
    jobs: int
    enabled: int
    running: int
    nodes: list[NodeHealth]
    silent_for: float | None
    stuck: list[StuckJob]
    failing: list[FailingJob]
    missed: list[MissedSlots]
    late: list[LateJob]


def look(using: str, late_after: timedelta) -> Vitals:
    """Look, in a constant number of queries; a job is late when it has waited for ``late_after``.

    Raises :class:`django.db.DatabaseError` if the database does not answer.
    """
    now = clock.now(using)
    sums = Job.objects.using(using).aggregate(
        jobs=Count("pk"), enabled=Count("pk", filter=Q(enabled=True)), running=Count("pk", filter=Q(lock__isnull=False))
    )
    nodes = [
        NodeHealth(node.name, node.ticked_at, (now - node.ticked_at).total_seconds(), node.skew, node.stays)
        for node in Node.objects.using(using)
    ]
    return Vitals(
        now=now,
        **sums,
        nodes=nodes,
        silent_for=min((node.age for node in nodes), default=None),
        stuck=_stuck(using, now),
        failing=_failing(using),
        missed=_missed(using, now),
        late=_late(using, now, late_after),
    )


def _stuck(using: str, now: datetime) -> list[StuckJob]:
    found = []
    for job in Job.objects.using(using).filter(is_stuck()).order_by("locked_at"):
        assert job.locked_at is not None
        age = (now - job.locked_at).total_seconds()
        found.append(StuckJob(job.pk, job.name, job.locked_by, job.locked_at, age))
    return found


def _late(using: str, now: datetime, late_after: timedelta) -> list[LateJob]:
    jobs = list(Job.objects.using(using).agenda().filter(due_at__lte=now - late_after, lock__isnull=True))
    held: set[int] = set()
    # Who may only read can't ask for that.
    with suppress(DatabaseError):
        held = skips.held({job.pk for job in jobs})
    found = []
    for job in jobs:
        assert job.due_at is not None
        age = (now - job.due_at).total_seconds()
        found.append(LateJob(job.pk, job.name, job.due_at, age, job.pk in held))
    return found


def _failing(using: str) -> list[FailingJob]:
    """Count the failures since the last success of each job that is enabled.

    A run that was interrupted, because its node was stopped, says nothing about the job. However long the log is,
    little of it is read: the newest run of a job is that of its newest claim, and mostly it succeeded.
    """
    logs = Log.objects.using(using).filter(job__enabled=True)
    newest = logs.filter(fence=F("job__fence")).exclude(status=Log.Status.SUCCEEDED)
    suspects = dict(newest.order_by().values_list("job_id", "job__name"))
    # Not below 0, where MySQL's unsigned numbers end.
    recent = logs.filter(job__in=suspects, fence__gt=Greatest(F("job__fence"), RUNS) - RUNS)
    statuses = defaultdict(list)
    for job_id, status in recent.order_by("-fence").values_list("job_id", "status"):
        statuses[job_id].append(status)
    found = []
    for job_id, name in suspects.items():
        since = takewhile(lambda status: status != Log.Status.SUCCEEDED, statuses[job_id])
        if count := sum(status in FAILURES for status in since):
            found.append(FailingJob(job_id, name, count))
    return sorted(found, key=lambda job: (-job.count, job.name))


def _missed(using: str, now: datetime) -> list[MissedSlots]:
    rows = Log.objects.using(using).filter(Q(missed__gt=0) | Q(status=Log.Status.MISSED), created__gt=now - RECENT)
    counts: Counter[tuple[int | None, str]] = Counter()
    # Summed up here: to have them grouped, SQLite reads the whole log in the order of the jobs.
    for job_id, name, missed, status in rows.order_by().values_list("job_id", "job_name", "missed", "status"):
        # A row that is about missed slots only counts its own slot, too.
        counts[job_id, name] += missed + (status == Log.Status.MISSED)
    found = [MissedSlots(job_id, name, count) for (job_id, name), count in counts.items()]
    return sorted(found, key=lambda job: (-job.count, job.name))
