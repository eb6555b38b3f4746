"""Which instant does ``@at 2026-12-24T18:00`` name?

That at which the clock of the job's zone shows the time. As at any change of the clock, a time that is skipped is the
first instant after the gap, and one that is shown twice is its first pass. Behind the time there may be an offset from
UTC, as in ``2026-10-25T02:30+01:00``, or a ``Z`` for UTC: then the instant is certain, whatever the zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronkite.exceptions import ScheduleError

NICKNAME = "@at"
#: What each such schedule begins with, and no other.
BEGINNING = f"{NICKNAME} "
YEARS = range(2, 9999)

_WRITTEN = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
#: What may be meant as one: a time behind a blank, fewer digits, fractions, an offset without its colon.
_MEANT = re.compile(
    r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})"
    r"(?:[T ,]*([0-9]{1,2})(?:[:.h]([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?)?"
    r" ?(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?",
    re.IGNORECASE,
)
_EXAMPLE = f"{NICKNAME} 2026-12-24T18:00"


@dataclass(frozen=True)
class Moment:
    """The time ``wall`` on the clock of a zone; or, with an ``offset``, on one that is so far from UTC.

    >>> read("@at 2026-12-24T18:00+01:00")
    Moment(wall=datetime.datetime(2026, 12, 24, 18, 0), offset=datetime.timedelta(seconds=3600))
    """

    wall: datetime
    offset: timedelta | None = None

    @property
    def shown_offset(self) -> str:
        """The offset as it is written, if there is one; nothing else."""
        if self.offset is None:
            return ""
        sign, minutes = "-" if self.offset < timedelta(0) else "+", abs(self.offset) // timedelta(minutes=1)
        return f"{sign}{minutes // 60:02}:{minutes % 60:02}"

    def __str__(self) -> str:
        return f"{NICKNAME} {_time(self.wall)}{self.shown_offset}"


def is_in(text: str) -> bool:
    """Whether the schedule is of this kind."""
    return text.startswith(BEGINNING)


def read(text: str) -> Moment | None:
    """Return the moment that a schedule is; ``None`` if it is of another kind.

    Raises :class:`ScheduleError`, with a suggestion where it is known what was meant.
    """
    nickname, _, written = text.strip(" \t").replace("\t", " ").partition(" ")
    if nickname != NICKNAME:
        return None
    written = written.strip(" ")
    found = _WRITTEN.fullmatch(written)
    # One blank, as the database is asked for what begins so.
    if found is None or text != f"{BEGINNING}{written}":
        meant = f"{BEGINNING}{written}" if found else closest(written)
        if meant:
            raise ScheduleError(f"{text!r} is not how a time is written here; write {meant!r}", suggestion=meant)
        raise ScheduleError(
            f"{text!r} names no time; write a date, a T and a time, as in {_EXAMPLE}, and if need be its offset from "
            f"UTC, as in {_EXAMPLE}+01:00 or {_EXAMPLE}Z"
        )
    *numbers, offset = found.groups()
    try:
        wall = datetime(*(int(number or 0) for number in numbers))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError as error:
        raise ScheduleError(f"{written} is no time of the calendar ({error}); write one as in {_EXAMPLE}") from None
    if wall.year not in YEARS:
        raise ScheduleError(f"{written} is outside the years {YEARS[0]} to {YEARS[-1]}; write one as in {_EXAMPLE}")
    return Moment(wall, _offset(offset, written) if offset else None)


def closest(text: str) -> str:
    """Return the schedule that is meant by a date, or a date and a time, that is written otherwise; else nothing.

    >>> closest("2026-12-24 18:00"), closest("2026-12-24"), closest("tomorrow")
    ('@at 2026-12-24T18:00', '@at 2026-12-24T00:00', '')
    """
    found = _MEANT.fullmatch(text.strip())
    if not found:
        return ""
    year, month, day, hour, minute, second, offset = found.groups(default="")
    clock = f"{hour or 0:0>2}:{minute or 0:0>2}" + (f":{second}" if second.strip("0") else "")
    zone = offset.upper()
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        zone = f"{zone[0]}{digits[:2]}:{digits[2:] or '00'}"
    elif zone:
        zone = "Z"
    meant = f"{BEGINNING}{year}-{month:0>2}-{day:0>2}T{clock}{zone}"
    try:
        return meant if read(meant) else ""
    except ScheduleError:
        return ""


def _offset(text: str, written: str) -> timedelta:
    if text == "Z":
        return timedelta(0)
    hours, minutes = int(text[1:3]), int(text[4:6])
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or offset > timedelta(hours=15):  # noqa: PLR2004 - as Postgres and MySQL have it, about
        raise ScheduleError(f"{written} has an offset that no clock has; write one from -15:00 to +15:00, or Z")
    return -offset if text[0] == "-" else offset


def _time(wall: datetime) -> str:
    return f"{wall:%Y-%m-%dT%H:%M:%S}" if wall.second else f"{wall:%Y-%m-%dT%H:%M}"
