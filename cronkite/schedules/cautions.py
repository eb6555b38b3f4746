"""What should a person know of an expression that can be read, and may mean another thing than it seems to?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronkite.schedules import chosen, durations, foreign, grammar, intervals
from cronkite.schedules.every import Interval
from cronkite.schedules.expressions import Expression, read
from cronkite.schedules.grammar import COMMON_DAYS, DAY, FIELDS, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, Field
from cronkite.schedules.words import listed

#: How many days are looked at to see whether two that follow each other are named: a year holds every kind of them.
YEAR = 366
#: A leap year's first day.
SOME_DAY = date(2000, 1, 1)


def of(expression: str, seed: str = "") -> list[str]:
    """Return sentences about the expression, in the language that is active.

    By the ``seed``, numbers are chosen where it says ``H``, and these are judged. Raises
    :class:`cronkite.exceptions.ScheduleError` for an expression that is none.

    >>> of("0 */5 * * *")
    ['*/5 begins anew on each day, so its last step takes 4 hours. Even steps are 2, 3, 4, 6, 8, 12.']
    >>> of("*/15 * * * *")
    []
    """
    says = read(expression, seed)
    if isinstance(says, Interval):
        return list(_about_interval(says))
    if not isinstance(says, Expression):
        return []
    if seconds := about_seconds(expression):
        return [seconds]  # the other fields are not what they seem either
    written = grammar.split(expression)
    words = zip(FIELDS, chosen.choose(written, seed), map(_last, FIELDS, written), strict=False)
    return [sentence for field, word, last in words if (sentence := _about_step(field, word, last, says))]


def _about_interval(says: Interval) -> Iterator[str]:
    if says.seconds % durations.MINUTE:
        yield _(
            "It falls between the minutes. A tick comes each minute, so it needs nodes that stay: manage.py cron loop."
        )
    fields = intervals.EXPRESSIONS.get(says.seconds)
    if fields and says.seconds > durations.HOUR:
        yield _(
            "It is counted in UTC, whatever the time zone. For times of the day on that zone's clock, write %(fields)s."
        ) % {"fields": fields}


def about_seconds(expression: str) -> str:
    """Return a sentence if the sixth field seems not to be meant as the seconds; else nothing."""
    meant = foreign.suspect(expression)
    if meant is None:
        return ""
    return _(
        "The last of six fields names the seconds. If they were meant to come first, or a year last, as with other "
        "schedulers, write %(meant)s."
    ) % {"meant": meant}


def _last(field: Field, written: str) -> int:
    """Return the number with which a step through the whole field ends."""
    return COMMON_DAYS if field is DAY and chosen.is_in(written) else field.high


def _about_step(field: Field, word: str, last: int, says: Expression) -> str:
    """Say what a step comes to that does not go into its field evenly, or nothing."""
    item = _stepped(field, word, last)
    if not item or not _goes_on(field, says):
        return ""
    numbers, size = grammar.read_item(item, field), _size(field)
    if numbers[-1] - numbers[0] == size:
        numbers = numbers[:-1]  # of a week's two Sundays
    first, step, gap = numbers[0], numbers.step, numbers[0] + size - numbers[-1]
    if step == 1 or (gap == step and field is not DAY):
        return ""
    if len(numbers) == 1:
        return _once(field) % {"item": item, "number": first}
    even = [str(n) for n in range(2, size) if size % n == 0]
    return _uneven(field, gap) % {"item": item, "gap": gap, "even": listed(even)}


def _stepped(field: Field, word: str, last: int) -> str:
    """Return the item with a step that is all there is to the field, and goes through the whole of it, or nothing."""
    if grammar.month_days(word, field):
        return ""
    for item in word.split(","):
        span, slash, step = item.partition("/")
        if slash and grammar.read_field(item, field) == grammar.read_field(word, field):
            every = grammar.read_item(span, field)
            begins_in_time = every[0] - field.low < int(step)
            if len(every) >= _size(field) or (field is not WEEKDAY and begins_in_time and every[-1] == last):
                return item
    return ""


def _size(field: Field) -> int:
    return field.high - field.low + 1 - (field is WEEKDAY)


def _uneven(field: Field, gap: int) -> str:
    if field is SECOND:
        return ngettext(
            "%(item)s begins anew in each minute, so its last step takes %(gap)d second. Even steps are %(even)s.",
            "%(item)s begins anew in each minute, so its last step takes %(gap)d seconds. Even steps are %(even)s.",
            gap,
        )
    if field is MINUTE:
        return ngettext(
            "%(item)s begins anew in each hour, so its last step takes %(gap)d minute. Even steps are %(even)s.",
            "%(item)s begins anew in each hour, so its last step takes %(gap)d minutes. Even steps are %(even)s.",
            gap,
        )
    if field is HOUR:
        return ngettext(
            "%(item)s begins anew on each day, so its last step takes %(gap)d hour. Even steps are %(even)s.",
            "%(item)s begins anew on each day, so its last step takes %(gap)d hours. Even steps are %(even)s.",
            gap,
        )
    if field is MONTH:
        return ngettext(
            "%(item)s begins anew in each year, so its last step takes %(gap)d month. Even steps are %(even)s.",
            "%(item)s begins anew in each year, so its last step takes %(gap)d months. Even steps are %(even)s.",
            gap,
        )
    if field is WEEKDAY:
        return ngettext(
            "%(item)s begins anew in each week, so its last step takes %(gap)d day. No step is even.",
            "%(item)s begins anew in each week, so its last step takes %(gap)d days. No step is even.",
            gap,
        )
    return _("%(item)s begins anew in each month, so its last step depends on the month. No step is even.")


def _once(field: Field) -> str:
    """Return words for a step that is too long to be taken."""
    words = {
        SECOND: _("%(item)s is second %(number)d alone, once in each minute: no step is longer than a minute."),
        MINUTE: _("%(item)s is minute %(number)d alone, once in each hour: no step is longer than an hour."),
        HOUR: _("%(item)s is hour %(number)d alone, once on each day: no step is longer than a day."),
        DAY: _("%(item)s is day %(number)d alone, once in each month: no step is longer than a month."),
        MONTH: _("%(item)s is month %(number)d alone, once in each year: no step is longer than a year."),
        WEEKDAY: _("%(item)s is weekday %(number)d alone, once in each week: no step is longer than a week."),
    }
    return words[field]


def _goes_on(field: Field, says: Expression) -> bool:
    """Whether the field's last number is ever followed by its first: in the next minute, hour, day or month."""
    if field is SECOND:
        return _has_neighbours(says.minutes, _size(MINUTE))
    if field is MINUTE:
        return _has_neighbours(says.hours, _size(HOUR))
    if field is HOUR:
        days = (SOME_DAY + timedelta(days=n) for n in range(YEAR + 1))
        return any(says.has_day(day) and says.has_day(after) for day, after in pairwise(days))
    return field is not DAY or _has_neighbours(says.months, _size(MONTH))


def _has_neighbours(numbers: Sequence[int], size: int) -> bool:
    """Whether one of the numbers follows another; the first follows the last in a circle of ``size``."""
    return any((number + 1) % size in {each % size for each in numbers} for number in numbers)
