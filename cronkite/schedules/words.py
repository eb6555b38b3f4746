"""What does a schedule say, in words?

The words come from the numbers that the expression names, not from its text: ``0-59/15`` and ``*/15`` say the same.
They tell exactly these wall times, no more and no fewer; what has no good words is told as the fields are. They are
clauses (when in the day, on which days, in which months), each a phrase that can be translated by itself. Their order,
and what stands between them, is up to the language, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from itertools import pairwise

from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext, pgettext

from cronkite.schedules import chosen, durations
from cronkite.schedules.every import Interval
from cronkite.schedules.expressions import Expression, read
from cronkite.schedules.monthdays import LAST, FromEnd, MonthDay, Nth
from cronkite.schedules.once import Moment
from cronkite.schedules.schedule import Schedule

#: What a field without a restriction names.
SIXTY, HOURS, DAYS, WEEKDAY_COUNT, MONTH_COUNT = 60, 24, 31, 7, 12
#: Two that follow each other are shorter told as two than as a stretch.
TWO = 2
#: So many times of the day are told one by one, whatever they have in common; and so many where they have nothing.
FEW, MANY = 4, 12
#: So many stretches of hours can be told; more are told as the field is.
STRETCHES = 3
#: From how many on numbers at equal distances are told by the first three and the last.
LONG = 6
#: So many minutes, hours or seconds are told in their own unit.
ROUND = 120
#: A day that a month may lack, so that no date tells it; and the year of the dates that are told, which is a leap year.
LEAP_DAY, LEAP_YEAR = (2, 29), 2000


def describe(schedule: Schedule | str, seed: str = "") -> str:
    """Return what the schedule, or a crontab expression, says: wall times, in the language that is active.

    A schedule's time zone is not named. By the ``seed``, numbers are chosen where an expression says ``H``. Raises
    :class:`cronkite.exceptions.ScheduleError` for an expression that is none.

    >>> describe("*/15 8-17 * * mon-fri")
    'Every 15 minutes from 08:00 to 17:45, from Monday to Friday'
    >>> describe("@yearly")
    'At 00:00, every year on January 1'
    >>> describe("H 3 * * *", "shop.crontab.bill")
    'At 03:25, every day'
    >>> describe("@every 90s"), describe("@at 2026-12-24T18:00")
    ('Every 90 seconds, counted from 1970-01-01 00:00 UTC', 'Once, on Dec. 24, 2026 at 18:00')
    """
    says = read(schedule.expression, schedule.seed) if isinstance(schedule, Schedule) else read(schedule, seed)
    if isinstance(says, Interval):
        return capfirst(_interval(says))
    return capfirst(_moment(says) if isinstance(says, Moment) else _expression(says))


def _expression(says: Expression) -> str:
    times, days, months = _times(says), _days(says), _months(says)
    if not days and len(says.hours) < HOURS:
        days = _("every day")
    if days and months:
        words = pgettext("a schedule", "%(times)s, %(days)s, %(months)s")
    elif days:
        words = pgettext("a schedule", "%(times)s, %(days)s")
    else:
        words = pgettext("a schedule", "%(times)s, %(months)s") if months else "%(times)s"
    return words % {"times": times, "days": days, "months": months}


def choice(expression: str, seed: str) -> str:
    """Return a sentence that tells what was chosen for the job where the expression says ``H``, or nothing.

    Raises :class:`cronkite.exceptions.ScheduleError` for an expression that is none.

    >>> choice("H 3 * * *", "shop.crontab.bill")
    'Each job has numbers of its own for H, which stay the same: here this is 25 3 * * *.'
    """
    if not chosen.is_in(expression):
        return ""
    return _("Each job has numbers of its own for H, which stay the same: here this is %(expression)s.") % {
        "expression": chosen.resolve(expression, seed)
    }


def listed(items: Sequence[str]) -> str:
    """Return the items with the language's comma between them, and no "and"."""
    return pgettext("between the items of a list", ", ").join(items)


# What is no list of fields.


def _interval(says: Interval) -> str:
    every = _("every %(time)s") % {"time": _and(_parts(says.seconds))}
    for unit, words in (
        (durations.DAY, _each_days),
        (durations.HOUR, _each_hours),
        (durations.MINUTE, _each_minutes),
        (1, _each_seconds),
    ):
        number, rest = divmod(says.seconds, unit)
        if not rest and (number <= ROUND or unit == durations.DAY):
            every = words(number)
            break
    return pgettext("an interval", "%(every)s, counted from %(epoch)s UTC") % {
        "every": every,
        "epoch": "1970-01-01 00:00",
    }


def _parts(seconds: int) -> list[str]:
    """Return the days, hours, minutes and seconds of a duration, those that it has."""
    days, rest = divmod(seconds, durations.DAY)
    hours, rest = divmod(rest, durations.HOUR)
    minutes, rest = divmod(rest, durations.MINUTE)
    told = [
        (days, ngettext("%(count)d day", "%(count)d days", days)),
        (hours, ngettext("%(count)d hour", "%(count)d hours", hours)),
        (minutes, ngettext("%(count)d minute", "%(count)d minutes", minutes)),
        (rest, ngettext("%(count)d second", "%(count)d seconds", rest)),
    ]
    return [words % {"count": count} for count, words in told if count]


def _moment(says: Moment) -> str:
    moment = {
        "date": date_format(says.wall, "DATE_FORMAT", use_l10n=True),
        "time": f"{says.wall:%H:%M:%S}" if says.wall.second else f"{says.wall:%H:%M}",
        "zone": f"UTC{says.shown_offset}" if says.offset else "UTC",
    }
    if says.offset is None:
        return _("once, on %(date)s at %(time)s") % moment
    return _("once, on %(date)s at %(time)s, %(zone)s") % moment


# When in the day.


def _times(says: Expression) -> str:
    if len(says.hours) * len(says.minutes) * len(says.seconds) <= FEW:
        return _at(says)
    if len(says.hours) == HOURS:
        return _round_the_clock(says) or _by_fields(says)
    if words := _in_stretches(says) or _hours_apart(says):
        return words
    return _at(says) if len(says.hours) * len(says.minutes) * len(says.seconds) <= MANY else _by_fields(says)


def _at(says: Expression) -> str:
    times = [time(h, m, s) for h in says.hours for m in says.minutes for s in says.seconds]
    return _("at %(times)s") % {"times": _and([_clock(each, says.seconds) for each in times])}


def _round_the_clock(says: Expression) -> str:
    """Return words for what is the same in every hour, or nothing."""
    if says.seconds == (0,):
        if says.minutes == (0,):
            return _("every hour, on the hour")
        first, step = says.minutes[0], _step(says.minutes)
        if step and first:
            return _("every %(step)d minutes, from minute %(first)d of each hour") % {"step": step, "first": first}
        return _each_minutes(step) or ngettext(
            "at minute %(minutes)s of every hour", "at minutes %(minutes)s of every hour", len(says.minutes)
        ) % {"minutes": _numbers(says.minutes)}
    if len(says.minutes) < SIXTY:
        return ""
    first, step = says.seconds[0], _step(says.seconds)
    if step and first:
        return _("every %(step)d seconds, from second %(first)d of each minute") % {"step": step, "first": first}
    return _each_seconds(step) or ngettext(
        "at second %(seconds)s of every minute", "at seconds %(seconds)s of every minute", len(says.seconds)
    ) % {"seconds": _numbers(says.seconds)}


def _in_stretches(says: Expression) -> str:
    """Return words for equal distances, from one time of the day to another, or nothing."""
    if says.seconds == (0,):
        each = _each_minutes(_step(says.minutes))
    else:
        each = _each_seconds(_step(says.seconds)) if len(says.minutes) == SIXTY else ""
    if not each and len(says.minutes) == len(says.seconds) == 1 and min(map(len, _stretches(says.hours))) > 1:
        each = _("every hour")
    stretches = _stretches(says.hours)
    if not each or len(stretches) > STRETCHES:
        return ""
    told = [
        pgettext("times of the day", "from %(first)s to %(last)s")
        % {
            "first": _clock(time(hours[0], says.minutes[0], says.seconds[0]), says.seconds),
            "last": _clock(time(hours[-1], says.minutes[-1], says.seconds[-1]), says.seconds),
        }
        for hours in stretches
    ]
    return _("%(each)s %(stretches)s") % {"each": each, "stretches": _and(told)}


def _hours_apart(says: Expression) -> str:
    """Return words for times that lie several hours apart, and always as many, or nothing."""
    step = _distance(says.hours)
    if not step or len(says.minutes) > 1 or len(says.seconds) > 1:
        return ""
    first, last = (time(hour, says.minutes[0], says.seconds[0]) for hour in (says.hours[0], says.hours[-1]))
    return _("every %(step)d hours from %(first)s to %(last)s") % {
        "step": step,
        "first": _clock(first, says.seconds),
        "last": _clock(last, says.seconds),
    }


def _by_fields(says: Expression) -> str:
    in_hours = ngettext("in hour %(hours)s", "in hours %(hours)s", len(says.hours)) % {"hours": _numbers(says.hours)}
    hours = _("in every hour") if len(says.hours) == HOURS else in_hours
    if says.seconds != (0,):
        every = _each_seconds(_step(says.seconds)) if says.seconds[0] == 0 else ""
        told = ngettext("at second %(seconds)s", "at seconds %(seconds)s", len(says.seconds))
        seconds = every or told % {"seconds": _numbers(says.seconds)}
        told = ngettext("in minute %(minutes)s", "in minutes %(minutes)s", len(says.minutes))
        every = _("in every minute") if len(says.minutes) == SIXTY else ""
        minutes = every or told % {"minutes": _numbers(says.minutes)}
        words = pgettext("times of the day", "%(seconds)s, %(minutes)s, %(hours)s")
        return words % {"seconds": seconds, "minutes": minutes, "hours": hours}
    told = ngettext("at minute %(minutes)s", "at minutes %(minutes)s", len(says.minutes))
    every = _each_minutes(_step(says.minutes)) if says.minutes[0] == 0 else ""
    minutes = every or told % {"minutes": _numbers(says.minutes)}
    return pgettext("times of the day", "%(minutes)s, %(hours)s") % {"minutes": minutes, "hours": hours}


def _each_minutes(step: int) -> str:
    # One is told apart, not by the plural: languages that have none say "every minute" without a number all the same.
    if step <= 1:
        return _("every minute") if step else ""
    return ngettext("every %(step)d minute", "every %(step)d minutes", step) % {"step": step}


def _each_seconds(step: int) -> str:
    if step <= 1:
        return _("every second") if step else ""
    return ngettext("every %(step)d second", "every %(step)d seconds", step) % {"step": step}


def _each_hours(step: int) -> str:
    if step <= 1:
        return _("every hour") if step else ""
    return ngettext("every %(step)d hour", "every %(step)d hours", step) % {"step": step}


def _each_days(step: int) -> str:
    if step <= 1:
        return _("every day") if step else ""
    return ngettext("every %(step)d day", "every %(step)d days", step) % {"step": step}


# On which days, in which months.


def _days(says: Expression) -> str:
    """Return which days are meant, or nothing if every day of the months is."""
    if says.is_any_day:
        return ""
    any_day, any_weekday = len(says.days) == DAYS, len(says.weekdays) == WEEKDAY_COUNT
    days = () if any_day else says.possible_days
    if days and any_weekday and not says.month_days:
        date_ = (says.months[0], days[0])
        if len(says.months) == len(days) == 1 and date_ != LEAP_DAY:
            # A date format of Django's, or what a language would rather have here.
            wanted = pgettext("format of a day of the year", "MONTH_DAY_FORMAT")
            return _("every year on %(date)s") % {"date": date_format(date(LEAP_YEAR, *date_), wanted, use_l10n=True)}
        return _days_of_month(says, days)
    of_month = [_days_of_month(says, days)] if days else []
    of_month += [] if any_day else [_looked_up(day) for day in says.month_days]
    of_week = [_weekdays(says.weekdays)] if says.weekdays and not any_weekday else []
    of_week += [] if any_weekday else [_looked_up(day) for day in says.month_weekdays]
    if not (of_month and of_week):
        return _and(of_month or of_week)
    together = _("%(days)s and also %(weekdays)s") if says.day_or else _("%(weekdays)s, but only %(days)s")
    return together % {"days": _and(of_month), "weekdays": _and(of_week)}


def _looked_up(day: MonthDay) -> str:
    """Return which day of its month is meant."""
    if isinstance(day, Nth):
        words = {
            1: _("on the first %(weekday)s of the month"),
            2: _("on the second %(weekday)s of the month"),
            3: _("on the third %(weekday)s of the month"),
            4: _("on the fourth %(weekday)s of the month"),
            5: _("on the fifth %(weekday)s of the month"),
            LAST: _("on the last %(weekday)s of the month"),
        }
        return words[day.number] % {"weekday": WEEKDAYS[(day.weekday - 1) % WEEKDAY_COUNT]}
    if isinstance(day, FromEnd):
        if not day.before:
            return _("on the last day of the month")
        told = ngettext(
            "%(count)d day before the last of the month", "%(count)d days before the last of the month", day.before
        )
        return told % {"count": day.before}
    if day.near is None:
        return _("on the last working day of the month (Monday to Friday)")
    return _("on the working day (Monday to Friday) nearest to day %(day)d of the month") % {"day": day.near}


def _days_of_month(says: Expression, days: Sequence[int]) -> str:
    if len(says.months) == MONTH_COUNT:
        told = npgettext("each month", "on day %(days)s of the month", "on days %(days)s of the month", len(days))
    else:
        told = npgettext(
            "of the months that are named", "on day %(days)s of the month", "on days %(days)s of the month", len(days)
        )
    return told % {"days": _numbers(days)}


def _weekdays(numbers: Sequence[int]) -> str:
    from_monday = sorted((number - 1) % 7 for number in numbers)
    names = [str(WEEKDAYS[number]) for number in from_monday]
    if len(_stretches(from_monday)) == 1 and len(names) > TWO:
        return pgettext("days of the week", "from %(first)s to %(last)s") % {"first": names[0], "last": names[-1]}
    return ngettext("on %(weekdays)s", "on %(weekdays)s", len(names)) % {"weekdays": _and(names)}


def _months(says: Expression) -> str:
    names = [str(MONTHS[number]) for number in says.months]
    any_weekday, days = len(says.weekdays) == WEEKDAY_COUNT, says.possible_days
    is_plain = any_weekday and not says.month_days
    is_date = len(names) == len(days) == 1 and is_plain and (says.months[0], days[0]) != LEAP_DAY
    if len(names) == MONTH_COUNT or (is_date and not says.day_or):
        return ""
    if len(_stretches(says.months)) == 1 and len(names) > TWO:
        return pgettext("months", "from %(first)s to %(last)s") % {"first": names[0], "last": names[-1]}
    return _("in %(months)s") % {"months": _and(names)}


# Numbers and lists.


def _clock(moment: time, seconds: Sequence[int]) -> str:
    return f"{moment:%H:%M}" if tuple(seconds) == (0,) else f"{moment:%H:%M:%S}"


def _step(numbers: Sequence[int]) -> int:
    """Return the distance between minutes (or seconds) if it is the same also from the last to the first; else 0."""
    step = 60 // len(numbers)
    return step if len(numbers) > 1 and list(numbers) == list(range(numbers[0] % step, 60, step)) else 0


def _distance(numbers: Sequence[int]) -> int:
    """Return the distance between three numbers or more if it is always the same, else 0."""
    distances = {b - a for a, b in pairwise(numbers)}
    return distances.pop() if len(distances) == 1 and len(numbers) > TWO else 0


def _stretches(numbers: Sequence[int]) -> list[list[int]]:
    """Return the numbers in pieces without a gap."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and pieces[-1][-1] == number - 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    return pieces


def _numbers(numbers: Sequence[int]) -> str:
    if _distance(numbers) > 1 and len(numbers) >= LONG:
        return listed([*map(str, numbers[:3]), "…", str(numbers[-1])])
    told: list[str] = []
    for piece in _stretches(numbers):
        if len(piece) > TWO:
            told.append(_("%(first)s to %(last)s") % {"first": piece[0], "last": piece[-1]})
        else:
            told += map(str, piece)
    return _and(told)


def _and(items: Sequence[str]) -> str:
    if len(items) == 1:
        return items[0]
    return _("%(items)s and %(last)s") % {"items": listed(items[:-1]), "last": items[-1]}
