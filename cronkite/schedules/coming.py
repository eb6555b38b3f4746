"""Which slots come next, and what do changes of the clock do to them?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cronkite.schedules import zones
from cronkite.schedules.schedule import Schedule
from cronkite.schedules.zones import SECOND, UTC, Change, WallClock

#: From three hours on, Debian's cron takes a gap for a clock that was reset, and runs nothing of it (``man 8 cron``).
DEBIANS_LONGEST_GAP = timedelta(hours=3)


class Oddity(str, Enum):
    """How a change of the clock touches a schedule."""

    MOVED = "moved"
    """The named time is skipped, so the slot is the first instant after the gap; one slot if several are."""
    MERGED = "merged"
    """The slot is named itself, and stands also for the named times that are skipped just before it."""
    SKIPPED = "skipped"
    """No slot: the named times are skipped, and a schedule with wildcards follows the clock."""
    EARLIER = "first pass"
    """The clock shows the time twice, and this is the first of them."""
    LATER = "second pass"
    """This is the second of them, for a schedule with wildcards."""


@dataclass(frozen=True)
class Coming:
    """A slot (UTC), or the place of one that there would be, and its time on the zone's clock.

    ``oddity`` is ``None`` for nearly all. For ``SKIPPED`` ones there is no slot: ``slot`` is the end of the gap.
    ``count`` says how many named times lie in the gap, for those that one does something to.
    """

    slot: datetime
    local: datetime
    oddity: Oddity | None = None
    change: Change | None = None
    count: int = 1


def coming(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Coming]:
    """Yield the slots with ``after < slot <= until``, and what gaps swallow between them, ascending."""
    clock, zone = WallClock(schedule.timezone), zones.get(schedule.timezone)
    # On a clock that is never changed, the same expression names wall times, if it does so at all.
    named = Schedule(schedule.expression, "UTC", schedule.seed)
    before = after
    for slot in schedule.slots_between(after, until):
        yield from _swallowed(schedule, named, before, slot)
        yield _told(schedule, named, clock, slot, slot.astimezone(zone))
        before = slot


def _swallowed(schedule: Schedule, named: Schedule, after: datetime, until: datetime) -> Iterator[Coming]:
    """Yield the gaps between two slots that named times fall into, if the schedule follows the clock."""
    if not schedule.is_wildcard:
        return
    clock = WallClock(schedule.timezone)
    for change in clock.changes_between(after.replace(tzinfo=None), until.replace(tzinfo=None)):
        lost = _named_in(named, change) if change.is_gap else 0
        if lost:
            at = change.at.replace(tzinfo=UTC)
            yield Coming(at, at.astimezone(zones.get(schedule.timezone)), Oddity.SKIPPED, change, lost)


def _named_in(named: Schedule, change: Change) -> int:
    first, end = change.first.replace(tzinfo=UTC), change.end.replace(tzinfo=UTC)
    return named.count_between(first - SECOND, end - SECOND)


def _told(schedule: Schedule, named: Schedule, clock: WallClock, slot: datetime, local: datetime) -> Coming:
    utc = slot.replace(tzinfo=None)
    wall = local.replace(tzinfo=None, fold=0)
    _, change = clock.read(wall)
    if change is not None and not change.is_gap:
        return Coming(slot, local, Oddity.EARLIER if utc < change.at else Oddity.LATER, change)
    if schedule.is_on_the_wall and not schedule.is_wildcard:
        for gap in clock.changes_between(utc - SECOND, utc):
            if lost := _named_in(named, gap) if gap.is_gap else 0:
                oddity = Oddity.MERGED if named.is_slot(wall.replace(tzinfo=UTC)) else Oddity.MOVED
                return Coming(slot, local, oddity, gap, lost)
    return Coming(slot, local)
