"""What do Sentry's cron monitors call a job, and what do they know of its schedule?

Their bounds are those of Sentry's own code, as of 2026: ``relay-monitors`` cuts slugs, ``monitors/validators.py`` reads
schedules, by cronsim. Pure, but for the project's time zone.
"""

from __future__ import annotations

import hashlib
import math
import re
import uuid
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.utils.text import slugify

from cronkite.exceptions import ScheduleError
from cronkite.schedules import every, once
from cronkite.schedules.expressions import NICKNAMES
from cronkite.signals import Run

#: The longest slug (characters), and how many digits tell names apart of which too little is left.
LONGEST = 50
DIGITS = 8
#: The longest margin and the longest run (minutes) that every version of Sentry takes: a week.
MOST_MINUTES = 7 * 24 * 60

_UNITS = {"day": 86400, "hour": 3600, "minute": 60}
_ITEM = re.compile(r"\*(?:/[1-9]\d*)?|(?P<first>\d+|[a-z]{3})(?:-(?P<last>\d+|[a-z]{3})(?:/[1-9]\d*)?)?")
#: What Sentry reads in some fields only, by their places: days of the month, and of the week.
_SPECIAL = {2: re.compile("lw?"), 4: re.compile(r"[0-7]l|(?:[0-7]|[a-z]{3})#[1-5]")}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = dict(zip(_DAYS, range(7), strict=True)) | dict(zip(_MONTHS, range(1, 13), strict=True))


class Unreadable(ValueError):
    """Sentry can't read a schedule, for the reason that this says."""


def slug(name: str) -> str:
    """Return the slug of the job of this name, always the same: the name itself, if Sentry takes it as a slug.

    Else what is left of the name, and digits that are made of all of it, so that names which look alike differ.

    >>> slug("send_invoices")
    'send_invoices'
    >>> slug("Send invoices!")
    'send-invoices-1ddf619e'
    """
    kept = slugify(name)
    if name and kept == name and len(name) <= LONGEST and not name.isdecimal():
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:DIGITS]
    return f"{kept[: LONGEST - DIGITS - 1].strip('-_') or 'job'}-{digits}"


def identity(environment: str | None, job_name: str, *which: object) -> str:
    """Return the id of a check-in: the same on each node, for its beginning and its end.

    ``which`` tells the run from the job's others, or the slots that were missed. The job's key is no part of it: where
    a job is deleted while it runs, nobody knows the key at its end.
    """
    return uuid.uuid5(uuid.NAMESPACE_OID, f"cronkite {[environment, job_name, *map(str, which)]}").hex


def config(run: Run) -> dict[str, Any] | None:
    """Return how Sentry is to watch the job; ``None``: the job was deleted. Raises :class:`Unreadable`.

    Whole minutes, rounded up. Without a timeout, a run may take as long as Sentry lets it; without a grace, the margin
    is Sentry's own.
    """
    if not run.schedule:
        return None
    known = {
        "schedule": schedule(run.schedule),
        "timezone": run.timezone or settings.TIME_ZONE,
        "max_runtime": MOST_MINUTES if run.timeout is None else _minutes(run.timeout),
    }
    return known if run.grace is None else {**known, "checkin_margin": _minutes(run.grace)}


def schedule(text: str) -> dict[str, Any]:
    """Return a schedule's text as Sentry takes it; raises :class:`Unreadable`.

    >>> schedule("@daily")
    {'type': 'crontab', 'value': '0 0 * * *'}
    >>> schedule("@every 120m")
    {'type': 'interval', 'value': 2, 'unit': 'hour'}
    >>> schedule("*/10 * * * * 30")
    Traceback (most recent call last):
    ...
    cronkite.monitors.checkins.Unreadable: it has a field of seconds
    """
    lowered = text.strip().lower()
    if lowered.startswith(once.NICKNAME):
        raise Unreadable("it is of one moment, and Sentry watches what comes again")
    with suppress(ScheduleError):
        if (interval := every.read(lowered)) is not None:
            return _interval(interval.seconds)
    words = NICKNAMES.get(lowered, lowered).split()
    if len(words) == 6:  # noqa: PLR2004 - the sixth field is ours
        raise Unreadable("it has a field of seconds")
    if len(words) != 5:  # noqa: PLR2004 - crontab's fields
        raise Unreadable("it is no crontab expression")
    for place, word in enumerate(words):
        for item in word.split(","):
            _demand_readable(item, place)
    return {"type": "crontab", "value": " ".join(words)}


def _interval(seconds: int) -> dict[str, Any]:
    for unit, length in _UNITS.items():
        if seconds % length == 0:
            return {"type": "interval", "value": seconds // length, "unit": unit}
    raise Unreadable("its interval is not of whole minutes")


def _demand_readable(item: str, place: int) -> None:
    if place in _SPECIAL and _SPECIAL[place].fullmatch(item):
        return
    if item.startswith("h"):
        raise Unreadable("it has H, which stands for a number that Sentry does not know")
    match = _ITEM.fullmatch(item)
    if match is None:
        raise Unreadable(f"it has {item.upper()!r}, which Sentry does not know")
    if match["last"] and _number(match["first"]) > _number(match["last"]):
        raise Unreadable(f"its range {item.upper()} passes the end of its field")


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else _NAMES.get(word, -1)


def _minutes(seconds: int) -> int:
    return min(max(1, math.ceil(seconds / 60)), MOST_MINUTES)
