"""Which numbers does each field of an expression name?

The grammar is that of ``man 5 crontab`` as Debian's cron reads it: what cron refuses is refused here, and so is what
cron takes but never fires. Two extensions: a sixth field, last, names the seconds; and the day fields may name days
that have to be looked up in their month, such as ``L`` and ``5#2`` (see :mod:`cronkite.schedules.monthdays`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cronkite.exceptions import ScheduleError
from cronkite.schedules.monthdays import LAST, FromEnd, MonthDay, Nth, Working

#: The longest expression that is read, in characters. The cost of reading one grows with its length.
MAX_LENGTH = 255

#: What stands for five fields.
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

#: How many days the months have at most.
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: The last day that every month has.
COMMON_DAYS = 28


@dataclass(frozen=True, eq=False)
class Field:
    """One field of an expression: its name, and what may stand there."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # of low, low + 1, …

    @property
    def hint(self) -> str:
        """What may stand here, for a person who wrote something else."""
        names = f", or {' '.join(self.names)}" if self.names else ""
        return f"{self.low} to {self.high}{names}"


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
WEEKDAY = Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
SECOND = Field("second", 0, 59)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY, SECOND)

#: Items that name days which have to be looked up, by field.
_LOOKED_UP = {
    DAY: re.compile(r"L(?:-(?P<before>[0-9]+))?|(?P<last>L)W|(?P<near>[0-9]+)W"),
    WEEKDAY: re.compile(r"(?P<weekday>[0-9A-Za-z]+?)(?:L|#(?P<number>[0-9]+))"),
}
#: Such items, for a person who wrote something else.
_EXAMPLES = {DAY: ", or L, L-2, LW or 15W", WEEKDAY: ", or 5L or 5#2"}
#: How many of one weekday a month may have.
MOST_OF_A_WEEKDAY = 5


def read(words: list[str]) -> dict[Field, tuple[int, ...]]:
    """The numbers that each of the five or six fields names, ascending; Sunday is 0. See :func:`split`.

    Days that have to be looked up in their month are not among them: see :func:`month_days`. Raises
    :class:`ScheduleError` if cron would refuse it, or would never fire it. The error's ``field`` is the name of the
    culprit.
    """
    written = dict(zip(FIELDS, words, strict=False))  # the sixth is optional
    numbers = {field: read_field(word, field) for field, word in written.items()}
    looked_up = tuple(day.needs for day in month_days(written[DAY], DAY))
    if not is_either_day(words) and not possible_days((*numbers[DAY], *looked_up), numbers[MONTH]):
        raise ScheduleError(
            f"day of month: no month in {written[MONTH]!r} has a day {written[DAY]!r}, so this never runs; "
            "write a day that one of the months has",
            DAY.name,
        )
    return {SECOND: (0,), **numbers}


def is_either_day(words: list[str]) -> bool:
    """Whether a day has to be named by one of the two day fields only, and not by both."""
    # Debian's cron looks at the first character only: ``*/10`` counts as a star here, and ``25,*`` does not.
    return not (words[2].startswith("*") or words[4].startswith("*"))


def check(text: str) -> None:
    """Raise :class:`ScheduleError` for what is no text for a schedule, of whichever kind."""
    if len(text) > MAX_LENGTH:
        raise ScheduleError(f"the expression has {len(text)} characters; write at most {MAX_LENGTH}")
    # Blanks are what cron takes for blanks: str.split() would also split at a no-break space.
    if control := re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise ScheduleError(f"the expression holds the control character {control[0]!r}; write it on one plain line")


def split(text: str) -> list[str]:
    """The five or six fields, as written; those that a nickname stands for. Raises :class:`ScheduleError`."""
    check(text)
    words = [word for word in re.split(r"[ \t]+", text) if word]
    if words and words[0].startswith("@"):
        nickname = " ".join(words)
        if nickname not in NICKNAMES:
            raise ScheduleError(
                f"{nickname!r} names no times; write one of {', '.join(NICKNAMES)}, alone, or @every 90s, "
                "@at 2026-12-24T18:00, or five fields"
            )
        return NICKNAMES[nickname].split()
    if len(words) not in (5, 6):
        raise ScheduleError(
            f"the expression has {len(words)} field{'s' * (len(words) != 1)}; write five, with blanks between them: "
            "minute, hour, day of month, month, day of week (and if need be a sixth, last: second)"
        )
    return words


def read_field(word: str, field: Field) -> tuple[int, ...]:
    """The numbers that one field names, ascending; raises :class:`ScheduleError`."""
    numbers: set[int] = set()
    for item in word.split(","):
        numbers.update(read_item(item, field))
    # 7 is a Sunday, too.
    return tuple(sorted({number % 7 for number in numbers} if field is WEEKDAY else numbers))


def read_item(item: str, field: Field) -> range:
    """One item of a list: ``*``, a number, or a range, the first and the last with a step if need be.

    An item that names no numbers, but a day to be looked up, is an empty one.
    """
    if not item:
        raise ScheduleError(f"{field.name}: a comma has nothing on one side; write lists like 1,2,3", field.name)
    if month_day(item, field) is not None:
        return range(0)
    span, slash, step = item.partition("/")
    first, dash, last = span.partition("-")
    if slash and (not is_number(step) or int(step) == 0):
        raise ScheduleError(
            f"{field.name}: the step in {item!r} must be a number from 1 up; write one like */2", field.name
        )
    if span == "*":
        low, high = field.low, field.high
    else:
        low = read_number(first, item, field)
        high = read_number(last, item, field) if dash else low
    if low > high:
        raise ScheduleError(
            f"{field.name}: the range {span!r} runs backwards; write {low}-{field.high},{field.low}-{high}", field.name
        )
    if slash and not dash and span != "*":
        # 7 is Sunday once more, which a step would meet at another place.
        end = max(low, field.high - (field is WEEKDAY))
        raise ScheduleError(f"{field.name}: {item!r} has a step but no range; write {low}-{end}/{step}", field.name)
    return range(low, high + 1, int(step or 1))


def month_days(word: str, field: Field) -> tuple[MonthDay, ...]:
    """The days of one field that have to be looked up in their month; raises :class:`ScheduleError`."""
    days = (month_day(item, field) for item in word.split(","))
    return tuple(dict.fromkeys(day for day in days if day is not None))


def month_day(item: str, field: Field) -> MonthDay | None:
    """The day that an item names, if it has to be looked up in its month; raises :class:`ScheduleError`.

    >>> month_day("L", DAY), month_day("friL", WEEKDAY), month_day("15", DAY)
    (FromEnd(before=0), Nth(weekday=5, number=-1), None)
    """
    found = _LOOKED_UP[field].fullmatch(item) if field in _LOOKED_UP else None
    if found is None:
        return None
    if field is WEEKDAY:
        weekday, number = read_number(found["weekday"], item, field) % 7, found["number"]
        if number is None:
            return Nth(weekday, LAST)
        if not 1 <= int(number) <= MOST_OF_A_WEEKDAY:
            raise ScheduleError(
                f"{field.name}: no month has a weekday {number} times; write {found['weekday']}#1 to "
                f"{found['weekday']}#{MOST_OF_A_WEEKDAY}, or {found['weekday']}L for the last one",
                field.name,
            )
        return Nth(weekday, int(number))
    if found["last"]:
        return Working()
    if found["near"]:
        return Working(read_number(found["near"], item, field))
    before = int(found["before"] or 0)
    if not before < field.high:
        raise ScheduleError(
            f"{field.name}: no month has a day so long before its last as {item!r}; write L to L-{field.high - 1}",
            field.name,
        )
    return FromEnd(before)


def read_number(text: str, item: str, field: Field) -> int:
    """One number of an item, or the name of one; raises :class:`ScheduleError`."""
    if text.lower() in field.names:
        return field.low + field.names.index(text.lower())
    if not is_number(text):
        raise ScheduleError(
            f"{field.name}: {item!r} is not understood; write {field.hint}, with * , - / as in man 5 crontab"
            f"{_EXAMPLES.get(field, '')}",
            field.name,
        )
    if not field.low <= int(text) <= field.high:
        raise ScheduleError(f"{field.name}: {text} is out of range; write {field.hint}", field.name)
    return int(text)


def is_number(text: str) -> bool:
    """Whether the text is a number in digits."""
    # str.isdigit() alone takes the digits of every script; cron takes ASCII alone.
    return text.isascii() and text.isdigit()


def possible_days(days: tuple[int, ...], months: tuple[int, ...]) -> tuple[int, ...]:
    """The days of the month that at least one of the months has."""
    longest = max(LONGEST_MONTHS[month - 1] for month in months)
    return tuple(day for day in days if day <= longest)
