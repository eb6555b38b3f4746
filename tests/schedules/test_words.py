"""A schedule in words says exactly what its slots are: a reader that knows English, and no crontab, is asked."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone

import pytest
from django.utils import translation
from hypothesis import example, given
from hypothesis import strategies as st

from cronkite.exceptions import ScheduleError
from cronkite.schedules import Schedule
from cronkite.schedules.words import describe

pytestmark = pytest.mark.once

UTC = timezone.utc
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("5-59/10 * * * *", "Every 10 minutes, from minute 5 of each hour"),
        ("@hourly", "Every hour, on the hour"),
        ("5 * * * *", "At minute 5 of every hour"),
        ("*/7 * * * *", "At minutes 0, 7, 14, …, 56 of every hour"),
        ("1-10,30 * * * mon", "At minutes 1 to 10 and 30 of every hour, on Monday"),
        ("@daily", "At 00:00, every day"),
        ("0 3 * * *", "At 03:00, every day"),
        ("30 6,18 * * *", "At 06:30 and 18:30, every day"),
        ("0 */6 * * *", "At 00:00, 06:00, 12:00 and 18:00, every day"),
        ("0 */2 * * *", "Every 2 hours from 00:00 to 22:00, every day"),
        ("*/15 8-17 * * mon-fri", "Every 15 minutes from 08:00 to 17:45, from Monday to Friday"),
        ("* 9-11,14-16 * * *", "Every minute from 09:00 to 11:59 and from 14:00 to 16:59, every day"),
        ("30 9-17 * * *", "Every hour from 09:30 to 17:30, every day"),
        ("1,17,40 1-9/2 * * *", "At minutes 1, 17 and 40, in hours 1, 3, 5, 7 and 9, every day"),
        ("0 0 * * 0", "At 00:00, on Sunday"),
        ("0 0 * * sat,sun", "At 00:00, on Saturday and Sunday"),
        ("0 0 1 * *", "At 00:00, on day 1 of the month"),
        ("0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month"),
        ("0 0 */2 * *", "At 00:00, on days 1, 3, 5, …, 31 of the month"),
        ("0 0 13 * fri", "At 00:00, on day 13 of the month and also on Friday"),
        ("0 0 */2 * mon", "At 00:00, on Monday, but only on days 1, 3, 5, …, 31 of the month"),
        ("0 0 1-31 * fri", "At 00:00, every day"),
        ("0 0 31 2 fri", "At 00:00, on Friday, in February"),
        ("@yearly", "At 00:00, every year on January 1"),
        ("0 0 29 2 *", "At 00:00, on day 29 of the month, in February"),
        ("0 12 * 6-8 *", "At 12:00, every day, from June to August"),
        ("* * * 1,7 *", "Every minute, in January and July"),
        ("* * * * * *", "Every second"),
        ("* * * * * */5", "Every 5 seconds"),
        ("* * * * * 30", "At second 30 of every minute"),
        ("0 3 * * * 15", "At 03:00:15, every day"),
        ("* 8 * * * */10", "Every 10 seconds from 08:00:00 to 08:59:50, every day"),
        ("5 * * * * 0,20,45", "At seconds 0, 20 and 45, in minute 5, in every hour"),
        ("0 3 L * *", "At 03:00, on the last day of the month"),
        ("0 3 L-2 * *", "At 03:00, 2 days before the last of the month"),
        ("0 3 1,L * *", "At 03:00, on day 1 of the month and on the last day of the month"),
        ("0 3 15W 6 *", "At 03:00, on the working day (Monday to Friday) nearest to day 15 of the month, in June"),
        ("0 3 LW * *", "At 03:00, on the last working day of the month (Monday to Friday)"),
        ("0 3 * * 5L", "At 03:00, on the last Friday of the month"),
        ("0 3 * * 0#2", "At 03:00, on the second Sunday of the month"),
        ("0 3 * * mon,5#2", "At 03:00, on Monday and on the second Friday of the month"),
        ("0 3 L * 5L", "At 03:00, on the last day of the month and also on the last Friday of the month"),
        (
            "0 3 */100,L * 5L",
            (
                "At 03:00, on the last Friday of the month, "
                "but only on day 1 of the month and on the last day of the month"
            ),
        ),
        ("@every 1s", "Every second, counted from 1970-01-01 00:00 UTC"),
        ("@every 90s", "Every 90 seconds, counted from 1970-01-01 00:00 UTC"),
        ("@every 45m", "Every 45 minutes, counted from 1970-01-01 00:00 UTC"),
        ("@every 1h", "Every hour, counted from 1970-01-01 00:00 UTC"),
        ("@every 1h1s", "Every 1 hour and 1 second, counted from 1970-01-01 00:00 UTC"),
        ("@every 36h", "Every 36 hours, counted from 1970-01-01 00:00 UTC"),
        ("@every 1d", "Every day, counted from 1970-01-01 00:00 UTC"),
        ("@every 14d", "Every 14 days, counted from 1970-01-01 00:00 UTC"),
        ("@at 2026-12-24T18:00", "Once, on Dec. 24, 2026 at 18:00"),
        ("@at 2026-12-24T18:00Z", "Once, on Dec. 24, 2026 at 18:00, UTC"),
        ("@at 2026-12-24T18:00:30-03:30", "Once, on Dec. 24, 2026 at 18:00:30, UTC-03:30"),
    ],
)
def test_words(expression, words):
    assert describe(expression) == describe(Schedule(expression, "Europe/Berlin")) == words


def test_what_is_no_schedule_has_no_words():
    with pytest.raises(ScheduleError):
        describe("61 * * * *")


def test_names_of_days_and_months_are_those_of_the_language():
    with translation.override("de"):
        words = describe("0 3 * 5 mon")
    assert "Montag" in words
    assert "Mai" in words


# What the fields of people's crontabs look like, and some that nobody's do.


def field(low, high, *more):
    number = st.integers(low, high)
    numbers = st.lists(number, min_size=1, max_size=5).map(lambda found: ",".join(map(str, found)))
    span = st.tuples(number, number).map(lambda found: f"{min(found)}-{max(found)}")
    step = st.integers(1, high - low).map(lambda found: f"*/{found}")
    span_step = st.tuples(span, st.integers(1, 12)).map(lambda found: f"{found[0]}/{found[1]}")
    return st.one_of(st.just("*"), st.just("*"), number.map(str), numbers, span, step, span_step, *map(st.just, more))


EXPRESSIONS = st.tuples(
    field(0, 59, "0", "0", "*/5", "*/15"),
    field(0, 23, "8-17", "0", "8-11,14-17"),
    field(1, 31, "*", "*", "1", "1-7"),
    field(1, 12, "*", "*", "*"),
    field(0, 6, "*", "*", "1-5", "7", "0,6"),
    st.one_of(st.just(""), st.just(""), field(0, 59)),
).map(lambda fields: " ".join(fields).strip())
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2033, 1, 1), timezones=st.just(UTC))


@given(EXPRESSIONS, INSTANTS, st.lists(INSTANTS, max_size=20))
@example("0 0 */10 * 1", datetime(2026, 1, 1, tzinfo=UTC), [])
@example("*/7 22-23,0-2 * * *", datetime(2026, 1, 1, tzinfo=UTC), [])
@example("0 0 30 4 *", datetime(2026, 1, 1, tzinfo=UTC), [])
def test_the_words_hold_at_slots_and_nowhere_else(expression, start, others):
    try:
        schedule = Schedule(expression, "UTC")
    except ScheduleError:
        return  # no month has such a day
    is_told = read(describe(schedule))
    slots = [start]
    for _ in range(4):
        slots.append(schedule.next_after(slots[-1]))
    asked = [instant.replace(microsecond=0) for instant in slots + others]
    away = [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7)]
    for instant in [*asked, *(each + way * sign for each in asked for way in away for sign in (1, -1))]:
        assert is_told(instant) == schedule.is_slot(instant), (describe(schedule), instant)


# The reader.

NUMBERS = r"(\d+(?: to \d+)?(?:(?:, …, |, | and )\d+(?: to \d+)?)*)"
CLOCK = r"\d\d:\d\d(?::\d\d)?"
TIMES = rf"({CLOCK}(?:(?:, | and ){CLOCK})*)"
SPANS = rf"(from {CLOCK} to {CLOCK}(?:(?:, | and )from {CLOCK} to {CLOCK})*)"


def names(kind):
    return rf"((?:{'|'.join(kind)})(?:(?:, | and )(?:{'|'.join(kind)}))*)"


def span(kind):
    return rf"from ({'|'.join(kind)}) to ({'|'.join(kind)})"


def split(text):
    return re.split(r", | and ", text)


def numbers(text):
    if "…" in text:
        first, second, *_, last = [int(each) for each in split(text) if each != "…"]
        return {*range(first, last + 1, second - first)}
    found = set()
    for item in split(text):
        low, _, high = item.partition(" to ")
        found |= {*range(int(low), int(high or low) + 1)}
    return found


def clock(text):
    return time.fromisoformat(text)


def within(text, at):
    spans = [span.removeprefix("from ").split(" to ") for span in split(text)]
    # "Every minute to 17:59" goes on until that minute is over, but the slots are told to the second.
    return any(clock(first) <= at <= clock(last) for first, last in spans)


def apart(text, seconds, at):
    """Whether ``at`` is a multiple of the distance after the beginning of its stretch."""
    for item in split(text):
        first, last = map(clock, item.removeprefix("from ").split(" to "))
        since = (at.hour - first.hour) * 3600 + (at.minute - first.minute) * 60 + at.second - first.second
        if first <= at <= last and since % seconds == 0:
            return True
    return False


def among(kind, number, text):
    return kind[number] in split(text)


def between(kind, number, first, last):
    return kind.index(first) <= number <= kind.index(last)


UNIT = {"second": 1, "minute": 60, "hour": 3600}
#: What can be said, and what it means of an instant; the longer of two that begin alike stands first.
PHRASES = [
    (rf"at {TIMES}", lambda i, text: i.time() in map(clock, split(text))),
    ("every hour, on the hour", lambda i: (i.minute, i.second) == (0, 0)),
    (
        r"every (\d+) minutes, from minute (\d+) of each hour",
        lambda i, n, k: (i.minute - int(k)) % int(n) == i.second == 0 and i.minute >= int(k),
    ),
    (
        r"every (\d+) seconds, from second (\d+) of each minute",
        lambda i, n, k: (i.second - int(k)) % int(n) == 0 and i.second >= int(k),
    ),
    (
        rf"every (?:(\d+) )?(second|minute|hour)s? {SPANS}",
        lambda i, n, unit, text: apart(text, int(n or 1) * UNIT[unit], i.time()),
    ),
    (r"every (\d+) minutes", lambda i, n: i.minute % int(n) == 0 and i.second == 0),
    (r"every (\d+) seconds", lambda i, n: i.second % int(n) == 0),
    ("every minute", lambda i: i.second == 0),
    ("every second", lambda i: True),
    (rf"at minutes? {NUMBERS} of every hour", lambda i, text: i.minute in numbers(text) and i.second == 0),
    (rf"at seconds? {NUMBERS} of every minute", lambda i, text: i.second in numbers(text)),
    (rf"at minutes? {NUMBERS}", lambda i, text: i.minute in numbers(text) and i.second == 0),
    (rf"at seconds? {NUMBERS}", lambda i, text: i.second in numbers(text)),
    (rf"in minutes? {NUMBERS}", lambda i, text: i.minute in numbers(text)),
    (rf"in hours? {NUMBERS}", lambda i, text: i.hour in numbers(text)),
    ("in every (?:minute|hour)", lambda i: True),
    ("every day", lambda i: True),
    (
        rf"every year on {names(MONTHS)} (\d+)",
        lambda i, month, day: (MONTHS[i.month - 1], i.day) == (month, int(day)),
    ),
    (
        rf"on days? {NUMBERS} of the month and also on {names(WEEKDAYS)}",
        lambda i, days, text: i.day in numbers(days) or among(WEEKDAYS, i.weekday(), text),
    ),
    (
        rf"on days? {NUMBERS} of the month and also {span(WEEKDAYS)}",
        lambda i, days, first, last: i.day in numbers(days) or between(WEEKDAYS, i.weekday(), first, last),
    ),
    (rf"(?:but only )?on days? {NUMBERS} of the month", lambda i, text: i.day in numbers(text)),
    (rf"on {names(WEEKDAYS)}", lambda i, text: among(WEEKDAYS, i.weekday(), text)),
    (span(WEEKDAYS), lambda i, first, last: between(WEEKDAYS, i.weekday(), first, last)),
    (rf"in {names(MONTHS)}", lambda i, text: among(MONTHS, i.month - 1, text)),
    (span(MONTHS), lambda i, first, last: between(MONTHS, i.month - 1, first, last)),
]


def read(words):
    """Return a function that tells whether the words, a list of phrases that must all hold, hold at an instant."""
    rest, conditions = words[0].lower() + words[1:], []
    while rest:
        for pattern, holds in PHRASES:
            if found := re.match(rf"{pattern}(?:, |$)", rest):
                conditions.append((holds, found.groups()))
                rest = rest[found.end() :]
                break
        else:
            raise AssertionError(f"{rest!r} in {words!r} is not understood")
    return lambda instant: all(holds(instant, *groups) for holds, groups in conditions)
