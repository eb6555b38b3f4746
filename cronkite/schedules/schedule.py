"""Which instants a crontab expression names in a time zone: those at which Debian's cron would fire.

Sources: ``man 5 crontab`` for the expression (see :mod:`cronkite.schedules.expressions`), ``man 8 cron`` for changes of
the zone's offset (see :mod:`cronkite.schedules.zones`). How a slot is found:

1. croniter searches on the wall clock, in naive local time, where nothing is missing or double. It is handed plain
   lists only, and each search has a fresh copy of it, because a search alters it.
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
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from croniter import croniter

from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen
from cronkite.schedules.expressions import Expression, parse
from cronkite.schedules.zones import SECOND, UTC, Change, WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How far a search goes; "never" means not within 50 years. The rarest that an expression can name is a leap day on a
#: given weekday, which may take 40.
HORIZON = timedelta(days=50 * 366)

#: The instants that can be asked about; the calendar's first and last year leave room for the zones' offsets.
_YEARS = range(2, 9999)


def get(expression: str, timezone: str, seed: str = "") -> Schedule:
    """The schedule, read once for each process; raises :class:`ScheduleError` as :class:`Schedule` does."""
    return _read(expression, timezone, seed if chosen.is_in(expression) else "")


@lru_cache(maxsize=1024)
def _read(expression: str, timezone: str, seed: str) -> Schedule:
    return Schedule(expression, timezone, seed)


@dataclass(frozen=True)
class Schedule:
    """The slots of ``expression`` in ``timezone``, an IANA name.

    Where the expression says ``H``, the ``seed`` decides which numbers that are (see :mod:`cronkite.schedules.chosen`):
    a text that stands for the job, and stays the same. Without an ``H``, it is empty, whatever was given.

    Slots are aware, in UTC, in whole seconds. Instants given may be in any zone, but a naive one raises
    :class:`ValueError`, and one outside the years 2 to 9998 :class:`ScheduleError`. So does, at once and here, an
    expression or a zone that can't be used.

    On 29 March 2026 clocks in Berlin skip the hour from 02:00:

    >>> from zoneinfo import ZoneInfo
    >>> nightly = Schedule("30 2 * * *", "Europe/Berlin")
    >>> for slot in nightly.slots_between(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)):
    ...     print(slot, "is", slot.astimezone(ZoneInfo("Europe/Berlin")).time())
    2026-03-28 01:30:00+00:00 is 02:30:00
    2026-03-29 01:00:00+00:00 is 03:00:00
    2026-03-30 00:30:00+00:00 is 02:30:00
    """

    expression: str
    timezone: str
    seed: str = ""
    _says: Expression = field(init=False, repr=False, compare=False)
    _walls: _WallTimes = field(init=False, repr=False, compare=False)
    _clock: WallClock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not chosen.is_in(self.expression):
            # For those who compare: this is the same schedule, whose ever it is.
            object.__setattr__(self, "seed", "")
        says = parse(self.expression, self.seed)
        object.__setattr__(self, "_says", says)
        object.__setattr__(self, "_walls", _WallTimes(says))
        object.__setattr__(self, "_clock", WallClock(self.timezone))

    def __str__(self) -> str:
        return f"{chosen.spell(self.expression, self.seed)!r} in {self.timezone}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it follows the clock on the wall through its changes: minute or hour begins with ``*``."""
        return self._says.is_wildcard

    def next_after(self, instant: datetime) -> datetime:
        """The first slot strictly after ``instant``.

        Raises :class:`ScheduleError` when there is none within 50 years: the expression may name only wall times that
        this zone skips, or the calendar ends.
        """
        try:
            return _next_after(self, _to_utc(instant))
        except OverflowError:
            raise ScheduleError(f"{self} has no slot within 50 years after {instant}") from None

    def latest_at(self, instant: datetime) -> datetime:
        """The newest slot that is not after ``instant``; raises as :meth:`next_after` does."""
        try:
            return self._latest(_to_utc(instant)).replace(tzinfo=UTC)
        except OverflowError:
            raise ScheduleError(f"{self} has no slot within 50 years up to {instant}") from None

    def slots_between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots with ``after < slot <= until``, ascending, each found when it is asked for."""
        slot, end = _to_utc(after), _to_utc(until)
        try:
            while slot < end and (slot := self._next(slot)) <= end:
                yield slot.replace(tzinfo=UTC)
        except OverflowError:
            return

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many slots :meth:`slots_between` would yield, at two or three microseconds for each day between."""
        start, end = _to_utc(after), _to_utc(until)
        if start >= end:
            return 0
        is_fixed, count_walls = not self._says.is_wildcard, self._says.count
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

    def is_slot(self, instant: datetime) -> bool:
        """Whether ``instant`` is a slot, to the microsecond."""
        # In UTC throughout: Python subtracts within a zone by the wall clock, and holds an instant in an overlap for
        # unequal to the same one in another zone (PEP 495).
        second = _to_utc(instant).replace(tzinfo=UTC)
        return not instant.astimezone(UTC).microsecond and self.count_between(second - SECOND, second) == 1

    # Below, `utc` is a naive datetime in UTC and `wall` one on the zone's wall clock. OverflowError says that nothing
    # was found: to a caller it is the same whether the horizon was reached or the calendar ended.

    def _next(self, utc: datetime) -> datetime:
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
            if not self._says.is_wildcard:
                return change.at
            wall = change.end - SECOND
        raise OverflowError

    def _latest(self, utc: datetime) -> datetime:
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
                return wall - (change.after if self._says.is_wildcard else change.before)
            if not self._says.is_wildcard:
                return change.at
            wall = change.first - SECOND
        raise OverflowError

    def _run_in(
        self, passes: list[tuple[datetime, timedelta]], overlap: Change
    ) -> Iterator[tuple[datetime, timedelta]]:
        """Those of the passes, each a wall time to search from and its offset, in which this schedule runs."""
        return (each for each in passes if self._says.is_wildcard or each[1] == overlap.before)


@lru_cache(maxsize=1024)
def _next_after(schedule: Schedule, utc: datetime) -> datetime:
    """See :meth:`Schedule.next_after`: many jobs may have the same schedule, and then fall due at the same slot."""
    return schedule._next(utc).replace(tzinfo=UTC)  # noqa: SLF001 - the rest of that method


class _WallTimes:
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


def _to_utc(instant: datetime) -> datetime:
    """The naive UTC of an aware datetime, with its fraction of a second cut off."""
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} is naive; a schedule needs an aware datetime")
    if instant.year not in _YEARS:
        raise ScheduleError(f"{instant} is outside the years 2 to 9998")
    return instant.astimezone(UTC).replace(tzinfo=None, microsecond=0)
