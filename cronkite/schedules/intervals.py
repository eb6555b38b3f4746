"""Which expression says an interval, or a time of the day, that is written in another way than here?

``@every 1.5h`` is of Go's schedulers, ``rate(5 minutes)`` of Amazon's EventBridge, ``PT5M`` of ISO 8601, ``Mon..Fri
03:00`` of systemd, and ``every 5 minutes`` of people.
"""

from __future__ import annotations

import re

from cronkite.schedules.durations import DAY, HOUR, MINUTE
from cronkite.schedules.every import MOST_DAYS, NICKNAME, Interval

WEEK, MONTH, YEAR = 7 * DAY, 30 * DAY, 365 * DAY
#: By the names of the unit.
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), HOUR),
    **dict.fromkeys(("d", "day", "days"), DAY),
    **dict.fromkeys(("w", "week", "weeks"), WEEK),
    **dict.fromkeys(("month", "months"), MONTH),
    **dict.fromkeys(("year", "years"), YEAR),
}
_EVERY = re.compile(
    r"(?:@?every|rate)[ \t]*\(?[ \t]*((?:[0-9]{1,9}(?:\.[0-9]{1,9})?[ \t]*[a-z]+[ \t]*)+|[a-z]+)\)?", re.IGNORECASE
)
_ISO = re.compile(r"PT?((?:[0-9]{1,9}[A-Z]T?)+)", re.IGNORECASE)
_ISO_PART = re.compile(r"([0-9]+)([a-z])")
#: Weekdays, a day of the year, and a time, as systemd has them.
_TIME = re.compile(
    r"(?:([A-Za-z][\w.,-]*)[ \t]+)?(?:(?:\*-)?(\*|[0-9]{1,2})-(\*|[0-9]{1,2})[ \t]+)?"
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
)


def _expressions() -> dict[int, str]:
    """Return, by seconds, what a list of fields can say that is always as far apart."""
    seconds = {n: f"* * * * * */{n}" for n in range(2, MINUTE) if MINUTE % n == 0}
    minutes = {n * MINUTE: f"*/{n} * * * *" for n in range(2, 60) if 60 % n == 0}
    hours = {n * HOUR: f"0 */{n} * * *" for n in range(2, 24) if 24 % n == 0}
    longer = {DAY: "0 0 * * *", WEEK: "0 0 * * 0"}
    return {1: "* * * * * *", **seconds, MINUTE: "* * * * *", **minutes, HOUR: "0 * * * *", **hours, **longer}


EXPRESSIONS = _expressions()
#: The same by months, which are not.
_OF_MONTHS = {MONTH: "0 0 1 * *", YEAR: "0 0 1 1 *"}
_OF_MONTHS |= {n * MONTH: f"0 0 1 */{n} *" for n in range(2, 12) if 12 % n == 0}


def closest(text: str) -> tuple[str, str] | None:
    """Return the expression, and what to say of it if it is not just that; ``None`` if the text is something else.

    >>> closest("every 5 min"), closest("every 3 days"), closest("3:30"), closest("@every 1.5h")
    (('*/5 * * * *', ''), ('@every 3d', ''), ('30 3 * * *', ''), ('@every 1h30m', ''))
    """
    if found := _TIME.fullmatch(text):
        weekdays, month, day = found[1] or "*", *((part or "*").lstrip("0") for part in found.groups()[1:3])
        if weekdays.lower() == "daily":
            weekdays = "*"
        if weekdays != "*" and day != "*":
            return None  # systemd has a day be both
        hour, minute, second = (int(part or 0) for part in found.groups()[3:])
        return f"{minute} {hour} {day} {month} {weekdays}" + (f" {second}" if second else ""), ""
    found = _EVERY.fullmatch(text) or _ISO.fullmatch(text)
    if not found:
        return None
    pairs = re.findall(r"([0-9.]*)[ \t]*([a-z]+)", found[1].lower())
    parts = _iso(text) if text[0] in "Pp" else pairs
    known = all(unit in _UNITS for _, unit in parts)
    length = sum(float(number or 1) * _UNITS[unit] for number, unit in parts) if known else 0
    if not length or length % 1:
        return None
    if any(_UNITS[unit] in {MONTH, YEAR} for _, unit in parts):
        return _of_months(int(length))
    return _say(int(length), is_interval=text.lower().startswith(NICKNAME))


def _iso(text: str) -> list[tuple[str, str]]:
    """Return the numbers and units of a duration of ISO 8601, in which an M before the T is a month."""
    date, _, clock = text[1:].lower().partition("t")
    of_date = [(number, {"m": "month", "y": "year"}.get(unit, unit)) for number, unit in _ISO_PART.findall(date)]
    return of_date + _ISO_PART.findall(clock)


def _of_months(length: int) -> tuple[str, str]:
    """Return the expression for about so many seconds, and what to say of it if it is not just that."""
    best = min(_OF_MONTHS, key=lambda each: abs(each - length))
    return _OF_MONTHS[best], "" if best == length else "which is the closest of those that go into a year"


def _say(length: int, *, is_interval: bool) -> tuple[str, str] | None:
    """Return the expression for so many seconds: a list of fields if there is one, and nobody meant the interval."""
    if length in EXPRESSIONS and not is_interval:
        return EXPRESSIONS[length], ""
    return (str(Interval(length)), "") if length <= MOST_DAYS * DAY else None
