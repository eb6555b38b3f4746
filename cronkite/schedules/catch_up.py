"""Which of the slots that are due is run, and which are missed?

Pure rules: no database, no clock, no Django.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from cronkite.exceptions import OneOffIsOver

#: ``all`` runs at most this many slots in arrears; older ones are missed.
ALL_CAP = 100
#: The grace of ``none`` where a job has none of its own.
NONE_GRACE = timedelta(seconds=120)
#: By how much a new edition of the time-zone rules may move a slot that was already announced.
MOVED = timedelta(hours=3)

SECOND = timedelta(seconds=1)


class CatchUp(str, Enum):
    """What becomes of slots that nobody ran in time."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class Slots(Protocol):
    """What the rules ask of a schedule; see :class:`cronkite.schedules.Schedule`.

    The first raises :class:`OneOffIsOver` where there is no slot any more.
    """

    def next_after(self, instant: datetime) -> datetime: ...
    def latest_at(self, instant: datetime) -> datetime: ...
    def count_between(self, after: datetime, until: datetime) -> int: ...
    def is_slot(self, instant: datetime) -> bool: ...


@dataclass(frozen=True)
class Pending:
    """Where a job stands: the next slot to consider, and the newest one that is accounted for (UTC)."""

    next_run: datetime
    last_slot: datetime | None


@dataclass(frozen=True)
class Decision:
    """What is to become of the slots that are due.

    ``slot`` is the one to run, or ``None``. ``missed`` slots are passed over, the newest of them being ``last_missed``,
    for ``reason``. ``next_run`` is the slot to consider next; ``None`` after the one slot of a one-off, whose job is
    then done. All instants are UTC.
    """

    slot: datetime | None
    missed: int
    last_missed: datetime | None
    next_run: datetime | None
    reason: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether there are slots to come: whether the job stays enabled."""
        return self.next_run is not None


def decide(schedule: Slots, policy: CatchUp, grace: timedelta | None, pending: Pending, now: datetime) -> Decision:
    """Decide what becomes of the slots from ``pending.next_run`` to ``now``.

    - ``latest``: the newest runs, the others are missed.
    - ``all``: the oldest runs, the next call decides on the next; beyond ``ALL_CAP`` the oldest are missed.
    - ``none``: as ``latest``, but never late: its grace is ``NONE_GRACE`` unless the job has one.

    A slot that is older than ``grace`` is missed under each policy; ``None`` means no limit.
    """
    first = _first(schedule, pending)
    if first is None or first > now:
        return Decision(None, 0, None, first)
    if policy is CatchUp.NONE and grace is None:
        grace = NONE_GRACE
    if policy is CatchUp.ALL:
        return _oldest(schedule, grace, first, now)
    return _newest(schedule, grace, first, now)


def abandon(schedule: Slots, pending: Pending, now: datetime, reason: str) -> Decision:
    """Decide that whatever is due by ``now`` is missed, for ``reason``; ``next_run`` is the first slot after that."""
    first = _first(schedule, pending)
    if first is None or first > now:
        return Decision(None, 0, None, first)
    return _all_missed(schedule, first, now, reason)


def _after(schedule: Slots, instant: datetime) -> datetime | None:
    """Return the first slot after ``instant``, or ``None`` if that is for ever the last."""
    try:
        return schedule.next_after(instant)
    except OneOffIsOver:
        return None


def _first(schedule: Slots, pending: Pending) -> datetime | None:
    """Return the first slot that is not accounted for; ``None`` if there is none to come.

    ``next_run`` was announced under the zone's rules of its day. Where newer rules say otherwise, the slot has moved:
    if it moved to before ``next_run``, the announced instant stands in for it, else the later one is waited for.
    """
    next_run, last_slot = pending.next_run, pending.last_slot
    if last_slot is not None and next_run <= last_slot:
        return _after(schedule, last_slot)
    if schedule.is_slot(next_run):
        return next_run
    if last_slot is not None and schedule.count_between(max(last_slot, next_run - MOVED), next_run):
        return next_run
    # Of a one-off, there is no other slot that could be run instead.
    return _after(schedule, next_run) or next_run


def _newest(schedule: Slots, grace: timedelta | None, first: datetime, now: datetime) -> Decision:
    due = 1 + schedule.count_between(first, now)
    # Nearly always it is the only one, and then there is nothing to search for.
    newest = first if due == 1 else max(first, schedule.latest_at(now))
    if grace is not None and now - newest > grace:
        return _all_missed(schedule, first, now, _too_old(grace))
    next_run = _after(schedule, newest)
    if due == 1:
        return Decision(newest, 0, None, next_run)
    before = _before(schedule, first, newest)
    return Decision(newest, due - 1, before, next_run, f"{due} slots were due, only the newest is run")


def _oldest(schedule: Slots, grace: timedelta | None, first: datetime, now: datetime) -> Decision:
    oldest, reason = first, ""
    if grace is not None and now - first > grace:
        reason = _too_old(grace)
        in_time = _after(schedule, now - grace - SECOND / 1_000_000)
        if in_time is None or in_time > now:
            return _all_missed(schedule, first, now, reason)
        oldest = in_time
    if schedule.count_between(oldest, now) >= ALL_CAP:
        oldest, reason = (
            _nth_newest(schedule.latest_at, now, ALL_CAP),
            f"only the newest {ALL_CAP} slots are caught up on",
        )
    next_run = _after(schedule, oldest)
    if oldest == first:
        return Decision(oldest, 0, None, next_run)
    missed = 1 + schedule.count_between(first, oldest - SECOND)
    return Decision(oldest, missed, _before(schedule, first, oldest), next_run, reason)


def _all_missed(schedule: Slots, first: datetime, now: datetime, reason: str) -> Decision:
    newest = max(first, schedule.latest_at(now))
    return Decision(None, 1 + schedule.count_between(first, now), newest, _after(schedule, newest), reason)


def _before(schedule: Slots, first: datetime, slot: datetime) -> datetime:
    return max(first, schedule.latest_at(slot - SECOND))


def _nth_newest(latest_at: Callable[[datetime], datetime], now: datetime, n: int) -> datetime:
    slot = latest_at(now)
    for _ in range(n - 1):
        slot = latest_at(slot - SECOND)
    return slot


def _too_old(grace: timedelta) -> str:
    return f"older than the grace of {grace.total_seconds():g} s"
