"""On which day of a month is its last Friday, or the working day nearest to its 15th?

Numbers of a field are the same in each month; these days have to be looked up in it. ``L``, ``W`` and ``#`` are
Quartz's. A *working day* is one from Monday to Friday. Weekdays are counted as in a crontab: Sunday is 0.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass

#: The last of a month's weekdays of a kind, where others are counted from 1.
LAST = -1
WEEK = 7
SATURDAY, SUNDAY = 6, 0


@dataclass(frozen=True)
class FromEnd:
    """``L``, the last day, and ``L-2``, which is two days before it."""

    before: int = 0

    @property
    def needs(self) -> int:
        """How many days a month must have that has this one."""
        return self.before + 1

    def day(self, year: int, month: int) -> int | None:
        """Return the day of this month, or ``None`` if it has none.

        >>> FromEnd().day(2024, 2), FromEnd(30).day(2024, 2)
        (29, None)
        """
        found = _last(year, month) - self.before
        return found if found >= 1 else None


@dataclass(frozen=True)
class Working:
    """``15W``, the working day nearest to the 15th, within its month; ``LW``, the last one, with no ``near``.

    For a Saturday it is the Friday before, for a Sunday the Monday after; at an edge of the month, the other way round.
    """

    near: int | None = None

    @property
    def needs(self) -> int:
        """How many days a month must have that has this one."""
        return self.near or 1

    def day(self, year: int, month: int) -> int | None:
        """Return the day of this month, or ``None`` if it lacks the one that is named.

        >>> Working(15).day(2026, 8), Working(1).day(2026, 8), Working().day(2026, 2), Working(31).day(2026, 4)
        (14, 3, 27, None)
        """
        last = _last(year, month)
        day = last if self.near is None else self.near
        if day > last:
            return None
        weekday = _weekday(year, month, day)
        if weekday == SATURDAY:
            return day - 1 if day > 1 else day + 2
        if weekday == SUNDAY:
            return day + 1 if day < last else day - 2
        return day


@dataclass(frozen=True)
class Nth:
    """``5#2``, the second Friday; ``5L``, the last one, whose number is ``LAST``."""

    weekday: int
    number: int

    @property
    def needs(self) -> int:
        """How many days a month must have that may have this one."""
        return WEEK * max(0, self.number - 1) + 1

    def day(self, year: int, month: int) -> int | None:
        """Return the day of this month, or ``None`` if it has no fifth one.

        >>> Nth(5, 2).day(2026, 11), Nth(5, LAST).day(2026, 11), Nth(5, 5).day(2026, 11)
        (13, 27, None)
        """
        last = _last(year, month)
        first = 1 + (self.weekday - _weekday(year, month, 1)) % WEEK
        if self.number == LAST:
            return last - (last - first) % WEEK
        found = first + WEEK * (self.number - 1)
        return found if found <= last else None


#: A day that is looked up in its month.
MonthDay = FromEnd | Working | Nth


def _last(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def _weekday(year: int, month: int, day: int) -> int:
    return (monthrange(year, month)[0] + day) % WEEK
