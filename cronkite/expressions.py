"""What a crontab expression says: which seconds, minutes, hours, days, months and weekdays it names.

The grammar is that of ``man 5 crontab`` as Debian's cron reads it, and no wider: what cron refuses is refused here,
and so is what cron takes but never fires. One extension: a sixth field, last, names the seconds.

Nothing here knows of time zones or of the present. A *wall time* is what a clock on the wall shows: a naive
:class:`~datetime.datetime` in whole seconds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime

from cronkite.exceptions import ScheduleError

#: The longest expression that is read, in characters. The cost of reading one grows with its length.
MAX_LENGTH = 255

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, eq=False)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # of low, low + 1, …

    @property
    def hint(self) -> str:
        """What may stand here, for a person who wrote something else."""
        names = f", or {' '.join(self.names)}" if self.names else ""
        return f"{self.low} to {self.high}{names}"


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
_WEEKDAY = _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
_SECOND = _Field("second", 0, 59)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _SECOND)


@dataclass(frozen=True)
class Expression:
    """The numbers that each field names, ascending; Sunday is 0.

    ``day_or`` tells how the two day fields combine: a day must be named by either of them, or, where one of them
    begins with ``*``, by both. ``is_wildcard`` is true when the minute or the hour field begins with ``*``: then
    ``man 8 cron`` has the job follow the wall clock through changes of the zone.

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

    @property
    def canonical(self) -> str:
        """The same wall times as plain ascending lists, for croniter with our ``day_or``.

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
        """The days of the month that at least one of the months has; none of them may be left."""
        return _possible_days(self.days, self.months)

    def has_day(self, day: date) -> bool:
        """Whether the expression names this day."""
        if day.month not in self.months:
            return False
        in_days, in_weekdays = day.day in self.days, day.isoweekday() % 7 in self.weekdays
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


def parse(text: str) -> Expression:
    """Read an expression; raise :class:`ScheduleError` if cron would refuse it, or would never fire it.

    The error's message says what to write instead, and its ``field`` is the name of the culprit, or ``None`` when the
    expression as a whole is at fault.

    >>> parse("0 3 * * 8")
    Traceback (most recent call last):
        ...
    cronkite.exceptions.ScheduleError: day of week: 8 is out of range; write 0 to 7, or sun mon tue wed thu fri sat
    """
    words = _split(text)
    written = dict(zip(_FIELDS, words, strict=False))  # the sixth is optional
    numbers = {field: _read_field(word, field) for field, word in written.items()}
    expression = Expression(
        minutes=numbers[_MINUTE],
        hours=numbers[_HOUR],
        days=numbers[_DAY],
        months=numbers[_MONTH],
        weekdays=tuple(sorted({number % 7 for number in numbers[_WEEKDAY]})),
        seconds=numbers.get(_SECOND, (0,)),
        # Debian's cron looks at the first character only: ``*/10`` counts as a star here, and ``25,*`` does not.
        day_or=not (written[_DAY].startswith("*") or written[_WEEKDAY].startswith("*")),
        is_wildcard=written[_MINUTE].startswith("*") or written[_HOUR].startswith("*"),
    )
    if not expression.day_or and not _possible_days(expression.days, expression.months):
        raise ScheduleError(
            f"day of month: no month in {written[_MONTH]!r} has a day {written[_DAY]!r}, so this never runs; "
            "write a day that one of the months has",
            _DAY.name,
        )
    return expression


def _split(text: str) -> list[str]:
    """The five or six fields, as written."""
    if len(text) > MAX_LENGTH:
        raise ScheduleError(f"the expression has {len(text)} characters; write at most {MAX_LENGTH}")
    # Blanks are what cron takes for blanks: str.split() would also split at a no-break space.
    if control := re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise ScheduleError(f"the expression holds the control character {control[0]!r}; write it on one plain line")
    words = [word for word in re.split(r"[ \t]+", text) if word]
    if words and words[0].startswith("@"):
        nickname = " ".join(words)
        if nickname not in NICKNAMES:
            raise ScheduleError(
                f"{nickname!r} names no times; write one of {', '.join(NICKNAMES)}, alone, or five fields"
            )
        return NICKNAMES[nickname].split()
    if len(words) not in (5, 6):
        raise ScheduleError(
            f"the expression has {len(words)} fields; write five, with blanks between them: "
            "minute, hour, day of month, month, day of week (and if need be a sixth, last: second)"
        )
    return words


def _read_field(word: str, field: _Field) -> tuple[int, ...]:
    numbers: set[int] = set()
    for item in word.split(","):
        numbers.update(_read_item(item, field))
    return tuple(sorted(numbers))


def _read_item(item: str, field: _Field) -> range:
    """One item of a list: ``*``, a number, or a range, the first and the last with a step if need be."""
    if not item:
        raise ScheduleError(f"{field.name}: a comma has nothing on one side; write lists like 1,2,3", field.name)
    span, slash, step = item.partition("/")
    first, dash, last = span.partition("-")
    if slash and (not _is_number(step) or int(step) == 0):
        raise ScheduleError(
            f"{field.name}: the step in {item!r} must be a number from 1 up; write one like */2", field.name
        )
    if span == "*":
        low, high = field.low, field.high
    else:
        low = _read_number(first, item, field)
        high = _read_number(last, item, field) if dash else low
    if low > high:
        raise ScheduleError(
            f"{field.name}: the range {span!r} runs backwards; write {low}-{field.high},{field.low}-{high}", field.name
        )
    if slash and not dash and span != "*":
        raise ScheduleError(
            f"{field.name}: {item!r} has a step but no range; write {low}-{field.high}/{step}", field.name
        )
    return range(low, high + 1, int(step or 1))


def _read_number(text: str, item: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.low + field.names.index(text.lower())
    if not _is_number(text):
        raise ScheduleError(
            f"{field.name}: {item!r} is not understood; write {field.hint}, with * , - / as in man 5 crontab",
            field.name,
        )
    if not field.low <= int(text) <= field.high:
        raise ScheduleError(f"{field.name}: {text} is out of range; write {field.hint}", field.name)
    return int(text)


def _is_number(text: str) -> bool:
    # str.isdigit() alone takes the digits of every script; cron takes ASCII alone.
    return text.isascii() and text.isdigit()


def _possible_days(days: tuple[int, ...], months: tuple[int, ...]) -> tuple[int, ...]:
    longest = max(_LONGEST_MONTHS[month - 1] for month in months)
    return tuple(day for day in days if day <= longest)


def _join(numbers: tuple[int, ...], size: int) -> str:
    return "*" if len(numbers) == size else ",".join(map(str, numbers))
