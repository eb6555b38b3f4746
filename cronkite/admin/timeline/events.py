"""What happened in a window? Runs and stretches of missed slots, told one by one or, where they are too many, counted.

However many logs there are, the page asks for no more than :data:`MOST` of them: where there are more, the database
counts those in each piece of the window.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, IntegerField, Q, QuerySet, Sum, Value

from cronkite.admin.timeline.windows import Window
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, Log
from cronkite.schedules.zones import SECOND

#: How many logs are told one by one.
MOST = 5000
#: How many slots are looked for backwards to find where a stretch began; beyond that it is reckoned.
STEPS = 60
#: How many coming slots of a job are looked for.
COMING = 150

#: The status of slots that are yet to come.
AHEAD = "ahead"


@dataclass(frozen=True)
class Event:
    """A run, a stretch of ``count`` missed slots, or ``count`` logs of one status in a piece of the window.

    ``told_by`` is the status of the log itself, which may be that of a run before which slots were missed.
    """

    status: str
    start: datetime
    end: datetime
    job_id: int | None = None
    job_name: str = ""
    node: str = ""
    slot: datetime | None = None
    reason: str = ""
    log_id: int | None = None
    count: int = 1
    told_by: str = ""


def of_jobs(keys: Collection[int]) -> QuerySet[Log]:
    """Return the logs of these jobs, to be read by the index of when they were written.

    By a sum with 0, as the databases would take the jobs' own index for the better one, and read all that the jobs ever
    did to find what they did in an hour.
    """
    return Log.objects.alias(of=F("job_id") + 0).filter(of__in=keys)


def happened(keys: Collection[int] | None, jobs: Mapping[int, Job], window: Window, by: str) -> list[Event]:
    """Return what the jobs of these keys (``None``: all) did in the window, by the beginning.

    ``jobs`` are those whose schedules are known. ``by`` ("job" or "node") says of what logs are counted where they are
    too many.
    """
    logs = Log.objects.all() if keys is None else of_jobs(keys)
    before = window.start - window.size.before
    seen = logs.filter(created__gte=before, created__lt=window.end).filter(
        Q(created__gte=window.start) | Q(finished_at__gte=window.start) | Q(finished_at__isnull=True)
    )
    # The newest first, as an index has them in that order: without one, all would be sorted to find the first of them.
    rows = (
        None
        if _are_many(keys, window)
        else list(seen.defer(*Log.TEXTS, "function", "fence").order_by("-created")[: MOST + 1])
    )
    if rows is not None and len(rows) <= MOST:
        known = {row.pk for row in rows}
        rows += [row for row in _running(logs, jobs.values()) if row.pk not in known and row.created < window.end]
        events = [event for row in rows for event in _told(row, jobs.get(row.job_id or 0), window.now)]
    else:
        events = list(_counted(logs, window, by))
    return sorted(
        (event for event in events if event.end >= window.start and event.start < window.end),
        key=lambda event: event.start,
    )


def _are_many(keys: Collection[int] | None, window: Window) -> bool:
    """Whether an index alone can tell that there are too many: logs are written near their slots.

    What else there is must be read to be counted, and a window with too many takes twice as long then.
    """
    near = (
        Log.objects.filter(created__gte=window.start, created__lt=window.end)
        if keys is None
        else Log.objects.filter(job__in=keys, slot__gte=window.start, slot__lt=window.end)
    )
    return near.order_by()[: MOST + 1].count() > MOST


def ahead(job: Job, window: Window) -> list[Event]:
    """Return the slots that are to come, at most :data:`COMING`; the last then stands for all until the end."""
    if not job.enabled or job.next_run is None:
        return []
    after = max(window.now, window.start)
    if job.next_run > after:
        after = job.next_run - SECOND
    events: list[Event] = []
    try:
        for slot in job.get_schedule().slots_between(after, window.end):
            if len(events) == COMING:
                last = events.pop()
                events.append(Event(AHEAD, last.start, window.end, job.pk, job.name, count=0))
                break
            events.append(Event(AHEAD, slot, slot, job.pk, job.name, slot=slot))
    except ScheduleError:
        pass  # the row was broken by hand; the list of jobs says so
    return events


def _running(logs: QuerySet[Log], jobs: Iterable[Job]) -> list[Log]:
    """Return the logs of runs that hold a lock, however long ago they began."""
    held = Q(pk__in=[])
    for job in jobs:
        if job.is_locked:
            held |= Q(job=job.pk, fence=job.fence)
    return list(logs.filter(held).defer(*Log.TEXTS)) if held != Q(pk__in=[]) else []


def _told(log: Log, job: Job | None, now: datetime) -> Iterator[Event]:
    """Return what one log tells: its run, and the slots that were missed."""
    missed = log.missed + (log.status == Log.Status.MISSED)
    if missed and log.slot is not None:
        # Of a run, the slots before its own are meant; of a stretch, that which the log names is the newest.
        newest = log.slot if log.status == Log.Status.MISSED else log.slot - SECOND
        yield Event(
            Log.Status.MISSED,
            _beginning(job, newest, missed),
            newest,
            log.job_id,
            log.job_name,
            log.node,
            log.slot,
            log.reason,
            log.pk,
            missed,
            log.status,
        )
    if log.status != Log.Status.MISSED:
        start = log.started_at or log.created
        end = now if log.status == Log.Status.RUNNING else (log.finished_at or start)
        yield Event(
            log.status,
            start,
            max(start, end),
            log.job_id,
            log.job_name,
            log.node,
            log.slot,
            log.reason if log.status != Log.Status.SUCCEEDED else "",
            log.pk,
        )


def _beginning(job: Job | None, newest: datetime, count: int) -> datetime:
    """Return the first of ``count`` missed slots up to ``newest``, as the job's schedule now says."""
    if job is None:
        return newest
    try:
        schedule = job.get_schedule()
        first = slot = schedule.latest_at(newest)
        for _ in range(min(count - 1, STEPS)):
            slot = schedule.latest_at(slot - SECOND)
        if count - 1 > STEPS:
            slot = first - (first - slot) / STEPS * (count - 1)
    except (ScheduleError, OverflowError):
        return newest
    return slot


def _counted(logs: QuerySet[Log], window: Window, by: str) -> Iterator[Event]:
    """Return how many logs of each status there are in each piece of the window, by job or by node.

    Each piece is a range of an index. To have the database cut off the minutes of each log takes it ten times as long.
    """
    width = window.size.length / window.size.pieces
    about = ("job_id", "job_name") if by == "job" else ("node",)
    counted = [
        logs.filter(created__gte=window.start + width * number, created__lt=window.start + width * (number + 1))
        .order_by()
        .annotate(piece=Value(number, output_field=IntegerField()))
        .values(*about, "status", "piece")
        .annotate(logs=Count("pk"), passed_over=Sum("missed"))
        for number in range(window.size.pieces)
    ]
    for row in counted[0].union(*counted[1:], all=True).order_by("piece"):
        begin = window.start + width * row["piece"]
        named = {name: row[name] for name in about}
        missed = row["passed_over"] + (row["logs"] if row["status"] == Log.Status.MISSED else 0)
        if missed:
            yield Event(Log.Status.MISSED, begin, begin + width, **named, count=missed, told_by=row["status"])
        if row["status"] != Log.Status.MISSED:
            yield Event(row["status"], begin, begin + width, **named, count=row["logs"])
