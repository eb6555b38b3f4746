"""What the text of a schedule says: which seconds, minutes, hours, days, months and weekdays it names.

Or which interval, or which moment: ``@every 90s`` is :mod:`cronkite.schedules.every`'s, and ``@at 2026-12-24T18:00``
:mod:`cronkite.schedules.once`'s. How an expression is written is :mod:`cronkite.schedules.grammar`'s; what ``H`` stands
for, :mod:`cronkite.schedules.chosen`'s; what somebody meant who wrote it otherwise,
:mod:`cronkite.schedules.foreign`'s.

Nothing here knows of time zones or of the present. A *wall time* is what a clock on the wall shows: a naive
:class:`~datetime.datetime` in whole seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime

from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen, every, foreign, grammar, once
from cronkite.schedules.every import Interval
from cronkite.schedules.grammar import MAX_LENGTH, NICKNAMES
from cronkite.schedules.monthdays import MonthDay
from cronkite.schedules.once import Moment

__all__ = ["MAX_LENGTH", "NICKNAMES", "Expression", "parse", "read"]


#: How many numbers a day field names that restricts nothing.
ANY_DAY, ANY_WEEKDAY = 31, 7


@dataclass(frozen=True)
class Expression:
    """The numbers that each field names, ascending; Sunday is 0.

    ``day_or`` tells how the two day fields combine: a day must be named by either of them, or, where one of them
    begins with ``*``, by both. ``is_wildcard`` is true when the minute or the hour field begins with ``*``: then
    ``man 8 cron`` has the job follow the wall clock through changes of the zone. ``month_days`` are named by the day of
    the month, and ``month_weekdays`` by the day of the week; which numbers these are depends on the month.

    >>> says = parse("*/20 8-10 1,15 * mon-wed,fri")
    >>> says.minutes, says.hours, says.weekdays
    ((0, 20, 40), (8, 9, 10), (1, 2, 3, 5))
    >>> says.day_or, says.is_wildcard
    (True, True)
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    seconds: tuple[int, ...]
    day_or: bool
    is_wildcard: bool
    month_days: tuple[MonthDay, ...] = ()
    month_weekdays: tuple[MonthDay, ...] = ()

    @property
    def looks_up_days(self) -> bool:
        """Whether there are days that depend on their month."""
        return bool(self.month_days or self.month_weekdays)

    @property
    def is_any_day(self) -> bool:
        """Whether each day of the months is named, whatever the fields hold."""
        any_day, any_weekday = len(self.days) == ANY_DAY, len(self.weekdays) == ANY_WEEKDAY
        return (any_day or any_weekday) if self.day_or else (any_day and any_weekday)

    @property
    def canonical(self) -> str:
        """The same wall times as plain ascending lists, for croniter with our ``day_or``; none are to be looked up.

        croniter reads only part of the grammar as cron does; of lists and lone stars it has one reading. Days that
        none of the months has are left out, because croniter 6 gives up on them instead of trying the weekdays.

        >>> parse("*/30 0-23 30 2 sun,mon").canonical
        '0,30 * * 2 0,1'
        """
        days, weekdays = _join(self.possible_days, 31) or "*", _join(self.weekdays, 7)
        if self.day_or and "*" in (_join(self.days, 31), weekdays):
            days = weekdays = "*"
        fields = [_join(self.minutes, 60), _join(self.hours, 24), days, _join(self.months, 12), weekdays]
        if self.seconds != (0,):
            fields.append(_join(self.seconds, 60))
        return " ".join(fields)

    @property
    def possible_days(self) -> tuple[int, ...]:
        """The days of the month that at least one of the months has; none of them may be left.

        Days that are looked up are not among them.
        """
        return grammar.possible_days(self.days, self.months)

    def has_day(self, day: date) -> bool:
        """Whether the expression names this day."""
        if day.month not in self.months:
            return False
        in_days = day.day in self.days or _is_any(self.month_days, day)
        in_weekdays = day.isoweekday() % 7 in self.weekdays or _is_any(self.month_weekdays, day)
        return in_days or in_weekdays if self.day_or else in_days and in_weekdays

    def count(self, first: datetime, end: datetime) -> int:
        """How many named wall times lie in ``first <= wall < end``; the cost is about a microsecond a day.

        >>> parse("*/15 * * * *").count(datetime(2026, 1, 1), datetime(2026, 1, 2, 0, 1))
        97
        """
        if first >= end:
            return 0
        per_day = len(self.hours) * len(self.minutes) * len(self.seconds)
        days = sum(
            self.has_day(date.fromordinal(ordinal)) for ordinal in range(first.toordinal(), end.toordinal())
        )  # fmt: skip
        return days * per_day + self._count_in_day_before(end) - self._count_in_day_before(first)

    def _count_in_day_before(self, wall: datetime) -> int:
        if not self.has_day(wall):
            return 0
        count = bisect_left(self.hours, wall.hour) * len(self.minutes) * len(self.seconds)
        if wall.hour in self.hours:
            count += bisect_left(self.minutes, wall.minute) * len(self.seconds)
            if wall.minute in self.minutes:
                count += bisect_left(self.seconds, wall.second)
        return count


def read(text: str, seed: str = "") -> Expression | Interval | Moment:
    """Read the text of a schedule; raise :class:`ScheduleError` as :func:`parse` does.

    >>> read("@every 90s"), type(read("@hourly")).__name__
    (Interval(seconds=90), 'Expression')
    """
    try:
        grammar.check(text)
        if (found := every.read(text) or once.read(text)) is not None:
            return found
    except ScheduleError as refusal:
        raise foreign.explain(text, refusal) from None
    return parse(text, seed)


def parse(text: str, seed: str = "") -> Expression:
    """Read a crontab expression; raise :class:`ScheduleError` if cron would refuse it, or would never fire it.

    By the ``seed``, numbers are chosen where it says ``H``. Each text has another choice, and none is refused for it.

    The error's message says what to write instead. Its ``field`` is the name of the culprit, or ``None`` when the
    expression as a whole is at fault; and its ``suggestion`` an expression that says what was meant, if that is known.

    >>> parse("0 3 * * 8")
    Traceback (most recent call last):
        ...
    cronkite.exceptions.ScheduleError: day of week: 8 is out of range; write 0 to 7, or sun mon tue wed thu fri sat
    """
    try:
        words = grammar.split(text)
        numbers = chosen.read(words, seed)
    except ScheduleError as refusal:
        raise foreign.explain(text, refusal) from None
    return Expression(
        minutes=numbers[grammar.MINUTE],
        hours=numbers[grammar.HOUR],
        days=numbers[grammar.DAY],
        months=numbers[grammar.MONTH],
        weekdays=numbers[grammar.WEEKDAY],
        seconds=numbers[grammar.SECOND],
        day_or=grammar.is_either_day(words),
        is_wildcard=words[0].startswith("*") or words[1].startswith("*"),
        month_days=grammar.month_days(words[2], grammar.DAY),
        month_weekdays=grammar.month_days(words[4], grammar.WEEKDAY),
    )


def _is_any(days: tuple[MonthDay, ...], day: date) -> bool:
    return any(each.day(day.year, day.month) == day.day for each in days)


def _join(numbers: tuple[int, ...], size: int) -> str:
    return "*" if len(numbers) == size else ",".join(map(str, numbers))
