"""Which instants does ``@every 90s`` name?

The multiples of the interval since 1970-01-01 00:00 UTC, the epoch: so that all nodes agree, after each restart, and no
node has to know when the one before ran. No time zone and no change of its clock makes a difference.

An interval is written in days, hours, minutes and seconds: ``90s``, ``1h30m``, ``1d``, the largest unit first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronkite.exceptions import ScheduleError
from cronkite.schedules.durations import DAY, HOUR, MINUTE

NICKNAME = "@every"
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the rooms of schedules have naive UTC
#: The longest interval, in days: about ten years.
MOST_DAYS = 3650

_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": 1}
_WRITTEN = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))


@dataclass(frozen=True)
class Interval:
    """The instants that are a multiple of ``seconds`` away from the epoch.

    What is asked and answered is naive, in UTC. :class:`OverflowError` says that the calendar ends.

    >>> Interval(5400).after(datetime(2026, 3, 1, 12))
    datetime.datetime(2026, 3, 1, 13, 30)
    """

    seconds: int

    def __str__(self) -> str:
        return f"{NICKNAME} {spell(self.seconds)}"

    def after(self, utc: datetime) -> datetime:
        """Return the first one later than ``utc``."""
        return EPOCH + timedelta(seconds=(self._count(utc) + 1) * self.seconds)

    def up_to(self, utc: datetime) -> datetime:
        """Return the last one not later than ``utc``."""
        return EPOCH + timedelta(seconds=self._count(utc) * self.seconds)

    def count(self, after: datetime, until: datetime) -> int:
        """Return how many there are with ``after < instant <= until``."""
        return max(0, self._count(until) - self._count(after))

    def _count(self, utc: datetime) -> int:
        return (utc - EPOCH) // timedelta(seconds=self.seconds)


def read(text: str) -> Interval | None:
    """Return the interval that a schedule is; ``None`` if it is of another kind.

    Raises :class:`ScheduleError` for what is none that can be used.

    >>> read("@every 1h30m"), read("@hourly")
    (Interval(seconds=5400), None)
    """
    # Blanks are what cron takes for blanks: str.split() would also split at a no-break space.
    nickname, _, written = text.strip(" \t").replace("\t", " ").partition(" ")
    if nickname != NICKNAME:
        return None
    written = written.strip(" ")
    found = _WRITTEN.fullmatch(written)
    if not written or found is None:
        raise ScheduleError(
            f"{text!r} names no interval; write numbers with d, h, m or s for days, hours, minutes and seconds, the "
            f"largest first, as in {NICKNAME} 90s or {NICKNAME} 1h30m"
        )
    seconds = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS.values(), strict=True))
    if seconds < 1:
        raise ScheduleError(f"an interval of {written} is none; write one of at least 1s, as in {NICKNAME} 1s")
    if seconds > MOST_DAYS * DAY:
        raise ScheduleError(f"an interval of {written} is too long; write one of at most {MOST_DAYS}d")
    return Interval(seconds)


def spell(seconds: int) -> str:
    """Return the interval as it is written, in units as large as they can be.

    >>> spell(5400), spell(86400), spell(90)
    ('1h30m', '1d', '1m30s')
    """
    parts = []
    for letter, unit in _UNITS.items():
        number, seconds = divmod(seconds, unit)
        if number:
            parts.append(f"{number}{letter}")
    return "".join(parts)
