"""What a time zone's wall clock shows: its offset from UTC, and the wall times that it skips or shows twice.

Everything here is naive: ``utc`` is a datetime in UTC, ``wall`` one on the wall clock, both in whole seconds. Sources:
the IANA time zone database, by way of :mod:`zoneinfo`; PEP 495 for ``fold``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronkite.exceptions import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterator

UTC = timezone.utc
SECOND = timedelta(seconds=1)

#: How often the offset is looked at to find its changes. None in tzdata was taken back within six days (2026.6).
_SAMPLE = timedelta(days=1)

#: Names that :mod:`zoneinfo` opens and that mean another thing on each machine, or count leap seconds.
_NOT_A_PLACE = re.compile(r"localtime|posixrules|right/.*|posix/.*")


@dataclass(frozen=True)
class Change:
    """The wall clock is changed at the instant ``at``, from the offset ``before`` to the offset ``after``.

    Forward, the wall times ``first <= wall < end`` are missing, which is a *gap*; back, they are shown in two passes,
    which is an *overlap*.
    """

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        return self.after > self.before

    @property
    def first(self) -> datetime:
        return self.at + min(self.before, self.after)

    @property
    def end(self) -> datetime:
        return self.at + max(self.before, self.after)

    @property
    def is_within_day(self) -> bool:
        """Whether the times from ``first`` to ``end`` are told apart without their dates."""
        return self.first.date() == self.end.date()


class WallClock:
    """The wall clock of the zone ``name``; raises :class:`ScheduleError` if there is no such zone.

    >>> clock = WallClock("Europe/Berlin")
    >>> clock.offset_at(datetime(2026, 7, 1))
    datetime.timedelta(seconds=7200)
    >>> offset, change = clock.read(datetime(2026, 3, 29, 2, 30))
    >>> change.is_gap, change.at
    (True, datetime.datetime(2026, 3, 29, 1, 0))
    """

    def __init__(self, name: str) -> None:
        self._zone = _open_zone(name)

    def offset_at(self, utc: datetime) -> timedelta:
        """What to add to an instant to have its wall time."""
        # fromutc() wants its own zone on the datetime, although the time it is handed is UTC.
        return self._zone.fromutc(utc.replace(tzinfo=self._zone)).replace(tzinfo=None) - utc

    def read(self, wall: datetime) -> tuple[timedelta, Change | None]:
        """What to subtract from a wall time to have its instant, and the change that makes it missing or double.

        Of a double wall time, this is the offset of the first pass.
        """
        before = self._offset_of(wall)
        after = self._offset_of(wall.replace(fold=1))
        if before == after:
            return before, None
        return before, self._find_change(wall - max(before, after), wall - min(before, after))

    def changes_between(self, after: datetime, until: datetime) -> Iterator[Change]:
        """The changes with ``after < change.at <= until``, ascending; about a microsecond for each day between."""
        offset = self.offset_at(after)
        while after < until:
            sample = min(after + _SAMPLE, until)
            if self.offset_at(sample) == offset:
                after = sample
            else:
                change = self._find_change(after, sample)
                yield change
                after, offset = change.at, change.after

    def _offset_of(self, wall: datetime) -> timedelta:
        # utcoffset() may be None for other kinds of tzinfo, never for a ZoneInfo.
        return cast("timedelta", self._zone.utcoffset(wall))

    def _find_change(self, low: datetime, high: datetime) -> Change:
        """Bisect for the first instant of a new offset, to the second; `low` has the old one, and `high` has not."""
        before = self.offset_at(low)
        while high - low > SECOND:
            middle = low + (high - low) // SECOND // 2 * SECOND
            if self.offset_at(middle) == before:
                low = middle
            else:
                high = middle
        return Change(high, before, self.offset_at(high))


def _open_zone(name: str) -> ZoneInfo:
    # zoneinfo makes a path of the name. Only what can be a name reaches the disk.
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}", name[:100]) and not _NOT_A_PLACE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            # Not found; a file that is no zone, such as tzdata's own lists; or a directory, such as "Europe".
            pass
    if not _knows_zones():
        raise ScheduleError("this machine has no time zone data; install the tzdata package", "timezone")
    raise ScheduleError(
        f"{name[:100]!r} is not a time zone; write an IANA name, as it is spelled there, such as Europe/Berlin or UTC",
        "timezone",
    )


def _knows_zones() -> bool:
    try:
        return ZoneInfo("UTC") is not None
    except ZoneInfoNotFoundError:
        return False
