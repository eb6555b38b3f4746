"""Which slots do the schedules of the histories have? Rules so simple that they need no crontab.

Instants are seconds since 1970 in UTC, as plain numbers: halves are exact, so nothing is ever rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86400
#: What each schedule of a one-off begins with.
ONCE = "@at "
#: Where no slot comes any more.
NEVER = math.inf


def at(instant):
    """Return the instant as Django has it: an aware datetime in UTC."""
    return datetime.fromtimestamp(instant, UTC)


def seconds(instant):
    """Return the aware datetime as a number, or ``None`` for ``None``."""
    return None if instant is None else instant.timestamp()


@dataclass(frozen=True)
class Every:
    """A slot each ``period`` seconds, ``offset`` seconds after its multiples."""

    period: int
    offset: int = 0

    def between(self, after, until):
        """Return the slots with ``after < slot <= until``, ascending."""
        return range(self.first_after(after), int(until // 1) + 1, self.period)

    def first_after(self, instant):
        """Return the first slot that is later than ``instant``."""
        return int((instant - self.offset) // self.period + 1) * self.period + self.offset


class Daily:
    """Slots that are known day by day; a subclass says which ones a day of UTC has."""

    def on(self, midnight):
        """Return the slots of the day of UTC that begins at ``midnight``, ascending."""
        raise NotImplementedError

    def between(self, after, until):
        """Return the slots with ``after < slot <= until``, ascending."""
        days = range(int(after // DAY) * DAY, int(until // 1) + 1, DAY)
        return [slot for day in days for slot in self.on(day) if after < slot <= until]

    def first_after(self, instant):
        """Return the first slot that is later than ``instant``."""
        days = count(int(instant // DAY) * DAY, DAY)
        return next(slot for day in days for slot in self.on(day) if slot > instant)


class BerlinNight(Daily):
    """02:30 in Berlin: at the end of the gap in March, where there is no 02:30; once in October, where there are two.

    The gap ends at 01:00 UTC in all of the European Union.
    """

    def on(self, midnight):
        first_pass = datetime.combine(at(midnight).date(), time(2, 30), BERLIN)
        utc = first_pass.astimezone(UTC)
        skipped = utc.astimezone(BERLIN).time() != time(2, 30)
        return [midnight + 3600] if skipped else [int(utc.timestamp())]


class BerlinEvenHours(Daily):
    """A quarter past each hour that Berlin's clocks show as an even one, however often they show it."""

    def on(self, midnight):
        quarters = [midnight + hour * 3600 + 900 for hour in range(24)]
        return [slot for slot in quarters if at(slot).astimezone(BERLIN).hour % 2 == 0]


class OnDays(Daily):
    """Of the slots of others, those that are on certain days of a zone's calendar."""

    def __init__(self, slots, zone, *are_meant):
        self._slots = slots
        self._zone = zone
        self._are_meant = are_meant

    @lru_cache(maxsize=2000)  # noqa: B019 - there are as many of these as schedules
    def on(self, midnight):
        slots = self._slots.between(midnight - 0.5, midnight + DAY - 1)
        return [slot for slot in slots if self._is_meant(at(slot).astimezone(self._zone).date())]

    def _is_meant(self, day):
        return any(is_meant(day) for is_meant in self._are_meant)


def is_last(day):
    """``L``: the next day is of another month."""
    return in_days(day, 1).month != day.month


def is_last_sunday(day):
    """``0L``: the Sunday after it is of another month."""
    return day.weekday() == SUNDAY and in_days(day, 7).month != day.month


def is_fifth_sunday(day):
    """``0#5``: four Sundays of the month come before it."""
    return day.weekday() == SUNDAY and day.day > 28


def is_nearest_to_the_30th(day):
    """``30W``: the 30th itself if it is a working day; else the one before or after it, in its month."""
    weekday, is_30th = day.weekday(), [in_days(day, by).day == 30 for by in (-1, 0, 1, 2)]
    if weekday > FRIDAY:
        return False
    yesterday, today, tomorrow, in_two_days = is_30th
    is_after_sunday = weekday == MONDAY and yesterday and day.day == 31
    is_before_the_last = weekday == FRIDAY and in_two_days and in_days(day, 3).month != day.month
    return today or is_after_sunday or (weekday == FRIDAY and tomorrow) or is_before_the_last


MONDAY, FRIDAY, SUNDAY = 0, 4, 6


def in_days(day, number):
    return day + timedelta(days=number)


class Once:
    """The one slot of ``@at``: what a zone's clock shows, or a time with its offset from UTC."""

    def __init__(self, text, zone):
        said = datetime.fromisoformat(text.removeprefix(ONCE))
        utc = said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=zone).astimezone(UTC)
        self.at = int(utc.timestamp())
        if not said.tzinfo and utc.astimezone(zone).replace(tzinfo=None) != said:
            self.at = self.at // DAY * DAY + 3600  # the end of Berlin's gap, as above

    def between(self, after, until):
        """Return the slot in a list, or none."""
        return [self.at] if after < self.at <= until else []

    def first_after(self, instant):
        """Return the slot, if it is later than ``instant``."""
        return self.at if self.at > instant else NEVER


def slots_of(schedule, zone):
    """Return what the slots of a schedule are, in a zone of ``ZONES``."""
    return _once(schedule, zone) if schedule.startswith(ONCE) else SLOTS[schedule, zone]


@lru_cache(maxsize=2000)
def _once(schedule, zone):
    return Once(schedule, ZoneInfo(zone or "UTC"))


#: A time that Berlin's clocks skip in the one night, and show twice in the other.
NIGHT = "half past two"
NIGHTS = [datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)]


def one_off(now, when, zone):
    """Return the schedule for ``when``, seconds from now or ``NIGHT``, by a zone's clock; for ``None``, with an offset.

    By the offset that is given, ``NIGHT`` is the second time that it is shown in October.
    """
    if when == NIGHT:
        wall, offset = min(NIGHTS, key=lambda night: abs(night - at(now).replace(tzinfo=None))), "+01:00"
    else:
        wall, offset = at(now // 1 + when).astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None), "+00:00"
    return f"{ONCE}{wall.isoformat()}{offset if zone is None else ''}"


#: By crontab expression and time zone. An empty zone is the project's, UTC.
SLOTS = {
    ("* * * * * */20", ""): Every(20),
    ("* * * * * */20", "Europe/Berlin"): Every(20),
    ("* * * * *", ""): Every(60),
    ("* * * * *", "Europe/Berlin"): Every(60),
    ("5 * * * *", ""): Every(3600, 300),
    ("5 * * * *", "Europe/Berlin"): Every(3600, 300),
    ("15 */2 * * *", ""): Every(7200, 900),
    ("15 */2 * * *", "Europe/Berlin"): BerlinEvenHours(),
    ("30 2 * * *", ""): Every(DAY, 9000),
    ("30 2 * * *", "Europe/Berlin"): BerlinNight(),
    ("@every 7m", ""): Every(420),
    ("@every 7m", "Europe/Berlin"): Every(420),
    ("30 2 * * 0L", ""): OnDays(Every(DAY, 9000), UTC, is_last_sunday),
    ("30 2 * * 0L", "Europe/Berlin"): OnDays(BerlinNight(), BERLIN, is_last_sunday),
    ("15 */2 L,30W * 0#5", ""): OnDays(Every(7200, 900), UTC, is_last, is_nearest_to_the_30th, is_fifth_sunday),
    ("15 */2 L,30W * 0#5", "Europe/Berlin"): OnDays(
        BerlinEvenHours(), BERLIN, is_last, is_nearest_to_the_30th, is_fifth_sunday
    ),
}
EXPRESSIONS = list(dict.fromkeys(expression for expression, _ in SLOTS))
ZONES = ["", "Europe/Berlin"]

#: Some hours before Berlin's clocks go forward, and before they go back.
BEGINNINGS = [datetime(2026, 3, 28, 20, 0, 30, tzinfo=UTC), datetime(2026, 10, 24, 20, 0, 30, tzinfo=UTC)]
