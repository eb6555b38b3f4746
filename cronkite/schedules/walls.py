"""Which instants do the wall times of a crontab expression stand for, on a clock that is changed now and then?

Those at which Debian's cron would fire. Sources: ``man 5 crontab`` for the expression (see
:mod:`cronkite.schedules.expressions`), ``man 8 cron`` for changes of the zone's offset (see
:mod:`cronkite.schedules.zones`). How one is found:

1. A search on the wall clock, in naive local time, where nothing is missing or double. croniter does it; it is handed
   plain lists only, and each search has a fresh copy of it, because a search alters it. Days that have to be looked up
   in their month (``L``, ``5#2``, ``15W``) are searched here, as croniter knows only some of them.
2. The wall time is read in the zone. With one offset it is ordinary, and stands for one instant.
3. With two, the clock was changed around it, and bisection finds when: a wall time in a *gap* is missing, one in an
   *overlap* has two passes.
4. A fixed time (neither minute nor hour begins with ``*``) in a gap runs once, at the first instant after it; in an
   overlap once, at its first pass.
5. A wildcard schedule follows the wall clock: nothing in a gap, which the search then steps over, and both passes of an
   overlap.
6. The instant asked about may itself lie in an overlap, where wall times do not ascend with time. So each pass is
   searched by itself before the search goes on from the overlap's edge.

Two known differences from Debian's cron. A gap of three hours or more it takes for a reset of the clock. And several
fixed times of one schedule in one gap (``0,30 2 * * *`` in Berlin), or in a gap and at its end (``0 2,3 * * *``), are
one slot here, as slots are instants; it fires once for each of them, all at that instant.

Counting needs no search: between two changes of the zone's offset it is arithmetic on the wall clock.
"""

from __future__ import annotations

import copy
from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from croniter import croniter

from cronkite.schedules.expressions import Expression
from cronkite.schedules.zones import SECOND, Change, WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How far a search goes; "never" means not within 50 years. The rarest that an expression can name is a leap day on a
#: given weekday, which may take 40.
HORIZON = timedelta(days=50 * 366)

# Below, `utc` is a naive datetime in UTC and `wall` one on the zone's wall clock. OverflowError says that nothing was
# found: to a caller it is the same whether the horizon was reached or the calendar ended.


class OnTheWall:
    """The instants of what an expression ``says`` on a ``clock``."""

    def __init__(self, says: Expression, clock: WallClock) -> None:
        self.says = says
        self._clock = clock
        self._walls = _ByDay(says) if says.looks_up_days else _ByCroniter(says)

    def count(self, start: datetime, end: datetime) -> int:
        """Return how many there are with ``start < utc <= end``, which is later."""
        is_fixed, count_walls = not self.says.is_wildcard, self.says.count
        offset = self._clock.offset_at(start)
        wall = start + offset + SECOND  # the first wall time that is not counted yet
        _, overlap = self._clock.read(start + offset)
        if is_fixed and overlap and start >= overlap.at:
            wall = overlap.end
        count = 0
        for change in self._clock.changes_between(start, end):
            count += count_walls(wall, change.at + change.before)
            wall, offset = change.at + change.after, change.after
            if is_fixed and change.is_gap and not count_walls(wall, wall + SECOND):
                count += min(1, count_walls(change.first, change.end))
            if is_fixed:
                wall = change.end
        return count + count_walls(wall, end + offset + SECOND)

    def after(self, utc: datetime) -> datetime:
        """Return the first one later than ``utc``."""
        wall = utc + self._clock.offset_at(utc)
        _, overlap = self._clock.read(wall)
        if overlap:
            passes = [(wall, overlap.after)]
            if utc < overlap.at:
                passes = [(wall, overlap.before), (overlap.first - SECOND, overlap.after)]
            for start, offset in self._run_in(passes, overlap):
                if (found := self._walls.after(start)) < overlap.end:
                    return found - offset
            wall = overlap.end - SECOND
        start = wall
        while (wall := self._walls.after(wall)) - start <= HORIZON:
            offset, change = self._clock.read(wall)
            if change is None or not change.is_gap:
                return wall - offset
            if not self.says.is_wildcard:
                return change.at
            wall = change.end - SECOND
        raise OverflowError

    def up_to(self, utc: datetime) -> datetime:
        """Return the last one not later than ``utc``."""
        wall = utc + self._clock.offset_at(utc)
        _, overlap = self._clock.read(wall)
        if overlap:
            passes = [(wall, overlap.before)]
            if utc >= overlap.at:
                passes = [(wall, overlap.after), (overlap.end - SECOND, overlap.before)]
            for start, offset in self._run_in(passes, overlap):
                if (found := self._walls.up_to(start)) >= overlap.first:
                    return found - offset
            wall = overlap.first - SECOND
        start = wall
        while start - (wall := self._walls.up_to(wall)) <= HORIZON:
            offset, change = self._clock.read(wall)
            if change is None:
                return wall - offset
            if not change.is_gap:
                return wall - (change.after if self.says.is_wildcard else change.before)
            if not self.says.is_wildcard:
                return change.at
            wall = change.first - SECOND
        raise OverflowError

    def _run_in(
        self, passes: list[tuple[datetime, timedelta]], overlap: Change
    ) -> Iterator[tuple[datetime, timedelta]]:
        """Those of the passes, each a wall time to search from and its offset, in which this schedule runs."""
        return (each for each in passes if self.says.is_wildcard or each[1] == overlap.before)


class _ByCroniter:
    """The wall times that an expression names, as croniter finds them; OverflowError when it finds none."""

    def __init__(self, says: Expression) -> None:
        self._template = croniter(says.canonical, 0, day_or=says.day_or)

    def after(self, wall: datetime) -> datetime:
        """The first one later than ``wall``."""
        return self._search("get_next", wall)

    def up_to(self, wall: datetime) -> datetime:
        """The last one not later than ``wall``."""
        return self._search("get_prev", wall + SECOND)

    def _search(self, direction: str, wall: datetime) -> datetime:
        try:
            found: datetime = getattr(copy.copy(self._template), direction)(datetime, wall)
        except ValueError:
            # croniter's own word for nothing within 50 years, and datetime's for the year 0 or 10000.
            raise OverflowError from None
        return found


class _ByDay:
    """The wall times of an expression whose days depend on their months; OverflowError when there are none."""

    def __init__(self, says: Expression) -> None:
        self._says = says

    def after(self, wall: datetime) -> datetime:
        """The first one later than ``wall``."""
        says, first = self._says, wall + SECOND
        if says.has_day(first):
            times = (
                time(hour, minute, second)
                for hour in says.hours
                if hour >= first.hour
                for minute in says.minutes
                if (hour, minute) >= (first.hour, first.minute)
                for second in says.seconds
                if (hour, minute, second) >= (first.hour, first.minute, first.second)
            )
            if (found := next(times, None)) is not None:
                return datetime.combine(first, found)
        return datetime.combine(self._day(first, 1), time(says.hours[0], says.minutes[0], says.seconds[0]))

    def up_to(self, wall: datetime) -> datetime:
        """The last one not later than ``wall``."""
        says = self._says
        if says.has_day(wall):
            times = (
                time(hour, minute, second)
                for hour in reversed(says.hours)
                if hour <= wall.hour
                for minute in reversed(says.minutes)
                if (hour, minute) <= (wall.hour, wall.minute)
                for second in reversed(says.seconds)
                if (hour, minute, second) <= (wall.hour, wall.minute, wall.second)
            )
            if (found := next(times, None)) is not None:
                return datetime.combine(wall, found)
        return datetime.combine(self._day(wall, -1), time(says.hours[-1], says.minutes[-1], says.seconds[-1]))

    def _day(self, wall: datetime, way: int) -> date:
        """Return the next day that is named, on the way to later (1) or earlier (-1) ones."""
        month = wall.year * 12 + wall.month - 1
        for number in range(month, month + way * _MONTHS, way):
            year, month_before = divmod(number, 12)
            if month_before + 1 not in self._says.months:
                continue
            if not date.min.year <= year <= date.max.year:
                break
            days = [date(year, month_before + 1, day + 1) for day in range(monthrange(year, month_before + 1)[1])]
            for day in days[::way]:
                if (day > wall.date() if way > 0 else day < wall.date()) and self._says.has_day(day):
                    return day
        raise OverflowError


#: So many months are looked at: a few more than the horizon's.
_MONTHS = 51 * 12
