"""How is the cluster? Who ticks, and which jobs are stuck, fail, come late or had slots missed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db import DatabaseError
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Greatest

from cronkite import conf
from cronkite.claims import skips
from cronkite.code import functions, labels
from cronkite.database import clock
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import Job, Log, Node
from cronkite.models.queries import is_stale, is_stuck, may_retry
from cronkite.reports import hindrances
from cronkite.schedules import Schedule, once, stretches

#: How many of a job's newest runs are looked at; whoever failed that often is counted no further.
RUNS = 20
#: How long ago a node may have ticked that is there: two ticks may have come late.
PRESENT = timedelta(minutes=3)
#: How far back missed slots count.
RECENT = timedelta(hours=24)
#: How many times the length of a brief stretch the brief stretches of a job may take in that time.
BRIEFLY = 10
#: The columns of a job that its schedule is made of.
SCHEDULE = ("schedule", "timezone", "name", "declared_as")
#: Of how many of the requests that wait longest it is found out if they could be run here.
TRIED = 5

FAILURES = [Log.Status.FAILED, Log.Status.TIMED_OUT, Log.Status.LOST]


@dataclass(frozen=True)
class NodeHealth:
    """A node, with the time (seconds) since it ticked, and how far (seconds) its clock is ahead, if that is known.

    ``stopped_at`` is when it said that it ends; ``None``: it did not.
    """

    name: str
    ticked_at: datetime
    age: float
    skew: float | None
    stays: bool
    stopped_at: datetime | None


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
    """A job whose last ``count`` runs have failed, up to ``RUNS``; ``log`` is the last one's.

    One that shows no life any more, so that its lock is stale, counts as lost before the next one records it.
    """

    id: int
    name: str
    count: int
    log: int


@dataclass(frozen=True)
class MissedSlots:
    """How many slots of a job were missed in the last 24 hours; ``id`` is ``None`` if the job was deleted since.

    ``brief``: how many of them in stretches that are put up with, such as those of a node that starts.
    """

    id: int | None
    name: str
    count: int
    brief: int


@dataclass(frozen=True)
class LateJob:
    """A job that is free, and has been due or asked for since ``age`` seconds.

    ``is_held``: another transaction has a row locked at this moment without which no node can take it: its own, its
    group's, or the log of the run that held its lock. ``asked_by`` is who asked for it, if somebody did; ``problem``
    why the process that looks could not run it then, if that is so.
    """

    id: int
    name: str
    due_at: datetime
    age: float
    is_held: bool
    asked_by: str | None
    problem: str


@dataclass(frozen=True)
class UnservedJob:
    """A job with ``labels`` of which no node that ticks has all."""

    id: int
    name: str
    labels: str


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
    unserved: list[UnservedJob]


def look(using: str, late_after: timedelta, brief: float) -> Vitals:
    """Look, in a constant number of queries; a job is late when it has waited for ``late_after``.

    Slots that were missed for ``brief`` seconds at most are told apart. Raises :class:`django.db.DatabaseError` if the
    database does not answer.
    """
    now = clock.now(using)
    sums = Job.objects.using(using).aggregate(
        # First, while "enabled" still is the column's name.
        labelled=Count("pk", filter=Q(enabled=True) & ~Q(labels="")),
        jobs=Count("pk"),
        enabled=Count("pk", filter=Q(enabled=True)),
        running=Count("pk", filter=Q(lock__isnull=False)),
    )
    labelled = sums.pop("labelled")
    nodes = [
        NodeHealth(
            node.name, node.ticked_at, (now - node.ticked_at).total_seconds(), node.skew, node.stays, node.stopped_at
        )
        for node in Node.objects.using(using)
    ]
    return Vitals(
        now=now,
        **sums,
        nodes=nodes,
        silent_for=min((node.age for node in nodes), default=None),
        stuck=stuck(using, now),
        failing=failing(using),
        missed=missed(using, now, brief),
        late=late(using, now, late_after),
        # Most projects have no labels, and are asked nothing more.
        unserved=unserved(using, now) if labelled else [],
    )


def unserved(using: str, now: datetime) -> list[UnservedJob]:
    """Return the enabled jobs whose labels no node has that has ticked of late, and has not ended since."""
    jobs = Job.objects.using(using).filter(enabled=True).exclude(labels="").order_by("name")
    wanting = list(jobs.values_list("pk", "name", "labels"))
    if not wanting:
        return []
    nodes = Node.objects.using(using).filter(stopped_at__isnull=True, ticked_at__gt=now - PRESENT)
    there = [labels.parts(kept) for kept in nodes.values_list("labels", flat=True).distinct()]
    return [UnservedJob(*job) for job in wanting if not any(labels.parts(job[2]) <= node for node in there)]


def stuck(using: str, now: datetime) -> list[StuckJob]:
    """Return the jobs that only a person can unlock, those first whose run has been gone for longest."""
    found = []
    for job in Job.objects.using(using).filter(is_stuck()).order_by("locked_at"):
        assert job.locked_at is not None
        age = (now - job.locked_at).total_seconds()
        found.append(StuckJob(job.pk, job.name, job.locked_by, job.locked_at, age))
    return found


def late(using: str, now: datetime, late_after: timedelta) -> list[LateJob]:
    """Return the jobs that have waited for ``late_after``, as no node takes them, those first that wait longest."""
    free, timeout = Q(lock__isnull=True), conf.get().lock_timeout
    if timeout is not None:
        # Whoever takes the job clears the lock, so that it would be as free.
        free |= Q(locked_at__lte=now - timeout - late_after)
    # What waits for its group's other jobs is in its order, as is what waits for its own run.
    waiting = Job.objects.using(using).agenda().with_room()
    jobs = list(waiting.filter(free, due_at__lte=now - late_after))
    held: dict[int, str] = {}
    # Who may only read can't ask for that.
    with suppress(DatabaseError):
        held = skips.in_the_way_of(jobs)
    problems = _problems([job.callee for job in jobs if job.asked_at is not None][:TRIED])
    found = []
    for job in jobs:
        due_at = job.asked_at or job.comes_at
        if due_at is None or due_at > now - late_after:
            # It is its tasks that are to be asked about.
            continue
        age = (now - due_at).total_seconds()
        # A run that was asked for needs no schedule.
        is_asked = job.asked_at is not None
        by = job.asked_by if is_asked else None
        problem = problems.get(job.callee, "") if is_asked else hindrances.of_schedule(job)
        found.append(LateJob(job.pk, job.name, due_at, age, bool(held.get(job.pk)), by, problem))
    return found


def _problems(wanted: list[str]) -> dict[str, str]:
    """Return why functions can't be run here, by their names."""
    problems = {}
    functions.try_all(wanted)
    for function in wanted:
        try:
            functions.look_up(function)
        except FunctionError as error:
            problems[function] = str(error)
    return problems


def failing(using: str) -> list[FailingJob]:
    """Count the failures since the last success of each job that is enabled, and of each one-off that is done.

    A run that was interrupted, because its node was stopped, says nothing about the job; nor does one about a one-off
    that was given another time since. However long the log is, little of it is read: the newest run of a job is that of
    its newest claim, and mostly it succeeded.
    """
    logs = Log.objects.using(using)
    # For each job by the index of its runs. A join has SQLite read the whole log, and look for the job of each.
    newest = logs.filter(job=OuterRef("pk"), fence=OuterRef("fence")).exclude(status=Log.Status.SUCCEEDED)
    jobs = Job.objects.using(using).filter(may_retry(), Exists(newest)).order_by()
    stale = ExpressionWrapper(is_stale(), output_field=BooleanField())
    columns = jobs.values_list("pk", "name", "enabled", "schedule", "planned_at", stale)
    suspects = {
        pk: (name, planned_at if enabled and once.is_in(schedule) else None, is_silent)
        for pk, name, enabled, schedule, planned_at, is_silent in columns
    }
    # Not below 0, where MySQL's unsigned numbers end.
    recent = logs.filter(job__in=suspects, fence__gt=Greatest(F("job__fence"), RUNS) - RUNS)
    runs = defaultdict(list)
    for job_id, status, pk, created in recent.order_by("-fence").values_list("job_id", "status", "pk", "created"):
        # Of a job whose next slot is that of tomorrow night, nobody would take the lock over before.
        is_gone = status == Log.Status.RUNNING and suspects[job_id][2]
        runs[job_id].append((Log.Status.LOST if is_gone else status, pk, created))
    found = []
    for job_id, (name, planned_at, _) in suspects.items():
        since = takewhile(lambda run: run[0] != Log.Status.SUCCEEDED, runs[job_id])
        counted = [pk for status, pk, at in since if status in FAILURES and (planned_at is None or at > planned_at)]
        if counted:
            found.append(FailingJob(job_id, name, len(counted), counted[0]))
    return sorted(found, key=lambda job: (-job.count, job.name))


def succeeded(using: str, jobs: Collection[int]) -> set[int]:
    """Return those of the jobs, by their keys, whose newest run succeeded, and of which :func:`failing` would tell."""
    newest = Log.objects.using(using).filter(job=OuterRef("pk"), fence=OuterRef("fence"))
    rows = Job.objects.using(using).filter(may_retry(), Exists(newest.filter(status=Log.Status.SUCCEEDED)), pk__in=jobs)
    return set(rows.order_by().values_list("pk", flat=True))


def missed(using: str, now: datetime, brief: float) -> list[MissedSlots]:
    """Return how many slots of which jobs were missed lately, those first that missed most."""
    rows = Log.objects.using(using).filter(Q(missed__gt=0) | Q(status=Log.Status.MISSED), created__gt=now - RECENT)
    columns = ("job_id", "job_name", "missed", "status", "slot", "created", *(f"job__{each}" for each in SCHEDULE))
    counts: Counter[tuple[int | None, str]] = Counter()
    briefs: Counter[tuple[int | None, str]] = Counter()
    lasted: defaultdict[tuple[int | None, str], float] = defaultdict(float)
    schedules: dict[int, Schedule | None] = {}
    # Summed up here: to have them grouped, SQLite reads the whole log in the order of the jobs.
    for job_id, name, before, status, slot, created, *says in rows.order_by().values_list(*columns):
        job = job_id, name
        is_missed = status == Log.Status.MISSED
        # A row that is about missed slots only counts its own slot, too.
        count = before + is_missed
        counts[job] += count
        # Who comes back again and again is not put up with, and then there is nothing more to find out.
        end = created.replace(microsecond=0) if is_missed else slot
        if job_id is None or end is None or lasted[job] > BRIEFLY * brief:
            continue
        if job_id not in schedules:
            schedules[job_id] = _schedule(says)
        schedule = schedules[job_id]
        # Of one that can't be read, nothing is known to be brief.
        length = None if schedule is None else stretches.brief(schedule, end, count, brief)
        if length is not None:
            briefs[job] += count
            lasted[job] += length
    found = [
        MissedSlots(*job, count, 0 if lasted[job] > BRIEFLY * brief else briefs[job]) for job, count in counts.items()
    ]
    return sorted(found, key=lambda job: (job.brief - job.count, -job.count, job.name))


def _schedule(says: list[Any]) -> Schedule | None:
    """Return the schedule of a job with these values of :data:`SCHEDULE`; ``None`` if it can't be read."""
    try:
        return Job(**dict(zip(SCHEDULE, says, strict=True))).get_schedule()
    except ScheduleError:
        return None
