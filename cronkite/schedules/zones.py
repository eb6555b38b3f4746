"""What a time zone's wall clock shows: its offset from UTC, and the wall times that it skips or shows twice.

Everything here is naive: ``utc`` is a datetime in UTC, ``wall`` one on the wall clock, both in whole seconds. Sources:
the IANA time zone database, by way of :mod:`zoneinfo`; PEP 495 for ``fold``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronkite.exceptions import ScheduleError, ZoneDataMissing
from cronkite.schedules import zonehints, zonenames

if TYPE_CHECKING:
    from collections.abc import Iterator

UTC = timezone.utc
SECOND = timedelta(seconds=1)

#: How often the offset is looked at to find its changes. None in tzdata was taken back within six days (2026.6).
_SAMPLE = timedelta(days=1)

#: What can be a name, and of how many letters.
_LONGEST = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
#: Names that :mod:`zoneinfo` opens and that mean another thing on each machine, count leap seconds, or mean a clock
#: that nobody has set.
_NOT_A_PLACE = re.compile(r"localtime|posixrules|right/.*|posix/.*|Factory")


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
        self._zone = get(name)

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
        # utcoffset() may be None for other kinds of tzinfo, never for these.
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


def get(name: str) -> tzinfo:
    """Return the zone ``name``, as IANA spells it.

    Raises :class:`ZoneDataMissing` if there is such a zone, but this machine has no data for it, and else
    :class:`ScheduleError`. UTC needs no data.
    """
    # zoneinfo makes a path of the name. Only what can be a name reaches the disk; and where that does not tell capital
    # letters from small ones, other nodes would not find what is found there.
    if (
        len(name) <= _LONGEST
        and _NAME.fullmatch(name)
        and not _NOT_A_PLACE.fullmatch(name)
        and not zonehints.spelling(name)
    ):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            # Not found; a file that is no zone, such as tzdata's own lists; or a directory, such as "Europe".
            pass
        if name in zonenames.UTC_NAMES:
            return UTC
        if name in zonenames.every() or not (_knows_zones() or zonehints.suggestions(name)):
            raise ZoneDataMissing(_no_data(name), "timezone")
    raise ScheduleError(
        f"{name[:_LONGEST]!r} is not a time zone; write an IANA name, as it is spelled there{_hint(name)}", "timezone"
    )


def or_utc(name: str) -> tzinfo:
    """Return the zone ``name``, or UTC if this machine can't tell its time: to show instants, which are the same."""
    try:
        return get(name)
    except ScheduleError:
        return UTC


def _hint(name: str) -> str:
    named = " or ".join(zonehints.suggestions(name))
    if not named:
        return ", such as Europe/Berlin or UTC"
    return f": {named}" + (", whose sign is the other way round" if named.startswith("Etc/GMT") else "")


def _no_data(name: str) -> str:
    if not _knows_zones():
        return "this machine has no time zone data; install the tzdata package, the system's or Python's"
    said = f"{name!r} is a time zone, but this machine has no data for it; "
    if clock := zonenames.old().get(name):
        return (
            f"{said}write {clock}, which has the same clock, or install the system's package tzdata-legacy (Debian, "
            "Ubuntu) or Python's tzdata"
        )
    return f"{said}upgrade the system's package tzdata (and tzdata-legacy, if it has that), or install Python's tzdata"


def _knows_zones() -> bool:
    """Whether this machine has data of any zone: of those that hardly anybody leaves out."""
    for name in ("Etc/UTC", "UTC", "Etc/GMT", "Europe/London", "Europe/Berlin", "America/New_York", "Asia/Tokyo"):
        with suppress(ZoneInfoNotFoundError, OSError):
            return ZoneInfo(name) is not None
    return False
