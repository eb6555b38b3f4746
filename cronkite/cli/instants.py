"""How is an instant said to a person, and how does a person say one?"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

from cronkite.database import clock
from cronkite.exceptions import ScheduleError
from cronkite.schedules import zones
from cronkite.schedules.durations import in_short
from cronkite.schedules.zones import Change, WallClock

#: Below this, it is now (seconds).
NOW = 1
#: Within so many days, the day of the week tells which.
WEEK = 7
#: The years that can be asked about.
YEARS = range(1970, 9000)


def absolute(instant: datetime, zone: str) -> str:
    """Return the instant on the clock of ``zone``, to the second, with its offset from UTC.

    >>> absolute(datetime(2026, 3, 29, 1, tzinfo=timezone.utc), "Europe/Berlin")
    '2026-03-29 03:00:00 +02:00'
    """
    local = on_clock(instant, zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset(local)}"


def brief(instant: datetime, now: datetime, zone: str) -> str:
    """Return the instant on the clock of ``zone``, to the minute, with no more of its day than is needed.

    >>> noon = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    >>> [brief(noon + timedelta(days=days), noon, "UTC") for days in (0, 1, 30)]
    ['12:00', 'Thu 12:00', '2026-07-31']
    """
    local, today = on_clock(instant, zone), on_clock(now, zone)
    days = (local.date() - today.date()).days
    # Or it would be taken for the time of the zone.
    name = "" if has_clock(zone) else " UTC"
    if not days:
        return f"{local:%H:%M}{name}"
    return f"{local:%a %H:%M}{name}" if 0 < days < WEEK else f"{local:%Y-%m-%d}"


def has_clock(zone: str) -> bool:
    """Whether this machine can tell the time of ``zone``; if not, instants are shown, and understood, in UTC."""
    try:
        return zones.get(zone) is not None
    except ScheduleError:
        return False


def on_clock(instant: datetime, zone: str) -> datetime:
    """Return the instant on the clock of ``zone``."""
    return clock.on_clock(instant, zones.or_utc(zone))


def offset(local: datetime) -> str:
    """Return an aware datetime's offset from UTC.

    >>> offset(datetime(2026, 7, 1, tzinfo=timezone.utc))
    '+00:00'
    """
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"


def relative(instant: datetime, now: datetime) -> str:
    """Return how far away the instant is.

    >>> noon = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    >>> relative(noon + timedelta(hours=3), noon), relative(noon - timedelta(seconds=5), noon)
    ('in 3 h', '5 s ago')
    """
    seconds = (instant - now).total_seconds()
    if abs(seconds) < NOW:
        return "now"
    return f"in {in_short(seconds)}" if seconds > 0 else f"{in_short(seconds)} ago"


class NotATime(ValueError):
    """What a person entered is no time; the message says how to write one."""


class Asked:
    """What a person means by a time: the instants, and by how much each may be off.

    ``starts`` are aware, in UTC: one, or the two passes of a time that the zone's clock shows twice. A time without
    seconds means the whole minute. ``change`` is what makes the time ambiguous or, in a gap, missing; then ``starts``
    is the first instant after the gap.
    """

    def __init__(self, starts: list[datetime], length: timedelta, change: Change | None) -> None:
        self.starts = starts
        self.length = length
        self.change = change


#: A time as people write it: a day, if it is not today, the time of the day, and an offset, if it is not the zone's.
_TIME = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d|today|yesterday|tomorrow)[T ]+)?"
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    r" ?(?P<offset>Z|UTC|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def asked(text: str, zone: str, now: datetime) -> Asked:
    """Return what ``text`` means on the clock of ``zone``, or where its own offset says; raise :class:`NotATime`."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise NotATime(
            f"{text!r} is no time. Write 2026-03-29 02:30 (on the job's clock), 2026-03-29 02:30:15+02:00, or just "
            "02:30 for today."
        )
    length = timedelta(minutes=1) if match["second"] is None else timedelta(seconds=1)
    try:
        wall = _wall(match, on_clock(now, zone).date())
        if match["offset"] is not None:
            return Asked([(wall - _offset(match["offset"])).replace(tzinfo=timezone.utc)], length, None)
        before, change = WallClock(zone if has_clock(zone) else "UTC").read(wall)
    except (ValueError, OverflowError) as error:
        raise NotATime(f"{text!r} is no time: {error}.") from None
    if change is None:
        starts = [wall - before]
    elif change.is_gap:
        starts = [change.at]
    else:
        starts = [wall - change.before, wall - change.after]
    return Asked([start.replace(tzinfo=timezone.utc) for start in starts], length, change)


def _wall(match: re.Match[str], today: date) -> datetime:
    """Return what the clock shows at the time that was written; raise ``ValueError`` if no clock ever does."""
    day = (match["day"] or "today").lower()
    on = today + timedelta(days=_DAYS[day]) if day in _DAYS else date.fromisoformat(day)
    if on.year not in YEARS:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[-1]}")
    return datetime.combine(on, time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0)))


def _offset(text: str) -> timedelta:
    if text.upper() in ("Z", "UTC"):
        return timedelta(0)
    digits = text[1:].replace(":", "")
    found = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -found if text[0] == "-" else found
