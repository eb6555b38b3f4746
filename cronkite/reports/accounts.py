"""What became of the slots of a job, at some time?

Logs account for slots that were run or missed. For the others, the job's row tells why there is none: not due yet,
still waiting, disabled, or not planned then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.db.models import QuerySet

from cronkite.exceptions import ScheduleError
from cronkite.models import Job, Log, primary
from cronkite.schedules.zones import SECOND


class Verdict(str, Enum):
    """What became of a slot."""

    RAN = "ran"
    """A node took it; the log says which, and how it ended."""
    MISSED = "missed"
    """It was passed over; the log says why."""
    NOT_DUE = "not due"
    """It is still to come."""
    WAITING = "waiting"
    """It has come, and no node has decided on it yet."""
    DISABLED = "disabled"
    """The job is disabled, and was already then."""
    NOT_PLANNED = "not planned"
    """The plan that the job has now was made later: the job did not exist, was disabled, or had another schedule."""
    NO_RECORD = "no record"
    """It was accounted for, and its log is gone; or, if the job is older than the record of its plans, not planned."""


@dataclass(frozen=True)
class Account:
    """A slot (UTC) and what became of it; ``log`` is the one that accounts for it, if any does.

    Of a slot that was tried again that is the last attempt's, and ``before`` are those of the attempts before.
    """

    slot: datetime
    verdict: Verdict
    log: Log | None = None
    before: tuple[Log, ...] = ()


def of(job: Job, start: datetime, length: timedelta) -> list[Account]:
    """Return an account of each slot of ``job`` within ``length`` from ``start`` on, in their order.

    Slots are those of the job's present schedule, and those that have a log. ``job`` comes with the database's clock in
    ``now``.
    """
    after, until = moved(start, -SECOND), moved(start, length - SECOND)
    logs = _logs(job).filter(slot__gt=after, slot__lte=until).order_by("attempt")
    recorded: defaultdict[datetime, list[Log]] = defaultdict(list)
    for log in logs:
        if log.slot is not None:
            recorded[log.slot].append(log)
    named = set(slots_between(job, after, until))
    return [_account(job, slot, recorded.get(slot, [])) for slot in sorted(named | recorded.keys())]


def slots_between(job: Job, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots of the present schedule; if this machine can't read that, only the one which is planned."""
    try:
        yield from job.get_schedule().slots_between(after, until)
    except ScheduleError:
        if job.pending is not None and after < job.pending.next_run <= until:
            yield job.pending.next_run


def by_hand(job: Job, start: datetime, length: timedelta) -> list[Log]:
    """Return the logs of the runs without a slot that began within ``length`` from ``start`` on."""
    runs = _logs(job).filter(slot=None, started_at__gte=start, started_at__lt=moved(start, length))
    return list(runs.order_by("id"))


def moved(instant: datetime, by: timedelta) -> datetime:
    """Return the instant so much later, as far as the calendar goes."""
    try:
        return instant + by
    except OverflowError:
        return instant


def _logs(job: Job) -> QuerySet[Log]:
    return Log.objects.using(primary.alias()).filter(job=job.pk).defer(*Log.TEXTS)


def _account(job: Job, slot: datetime, logs: list[Log]) -> Account:
    if not logs:
        log = _passed_over(job, slot)
        if log is not None:
            return Account(slot, Verdict.MISSED, log)
        return Account(slot, _unrecorded(job, slot))
    *before, last = logs
    verdict = Verdict.MISSED if last.status == Log.Status.MISSED else Verdict.RAN
    return Account(slot, verdict, last, tuple(before))


def _passed_over(job: Job, slot: datetime) -> Log | None:
    """Return the log of a later slot that counts this one among those missed just before it."""
    later = _logs(job).filter(slot__gt=slot).order_by("slot").first()
    if later is None or later.slot is None or not later.missed:
        return None
    try:
        between = job.get_schedule().count_between(slot, later.slot - SECOND)
    except ScheduleError:
        return None
    return later if 1 + between <= later.missed else None


def _unrecorded(job: Job, slot: datetime) -> Verdict:
    planned_at = job.planned_at
    if slot > job.now:
        return Verdict.NOT_DUE if job.enabled else Verdict.DISABLED
    if job.enabled and job.next_run is not None and job.next_run <= slot:
        return Verdict.WAITING
    if planned_at is None:
        return Verdict.NO_RECORD
    if slot <= planned_at:
        return Verdict.NOT_PLANNED
    return Verdict.NO_RECORD if job.enabled else Verdict.DISABLED
