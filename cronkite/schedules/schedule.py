"""Which instants does a schedule name: an expression in a time zone, an interval, or a moment?

How they are found is for each kind to know: :mod:`cronkite.schedules.walls` for crontab expressions,
:mod:`cronkite.schedules.every` for ``@every 90s``, :mod:`cronkite.schedules.once` for ``@at 2026-12-24T18:00``, which
is read on the zone's clock here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from cronkite.exceptions import OneOffIsOver, ScheduleError
from cronkite.schedules import chosen, expressions
from cronkite.schedules.every import Interval
from cronkite.schedules.expressions import Expression
from cronkite.schedules.once import Moment
from cronkite.schedules.walls import HORIZON, OnTheWall
from cronkite.schedules.zones import SECOND, UTC, WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HORIZON", "Schedule", "get"]

#: The instants that can be asked about; the calendar's first and last year leave room for the zones' offsets.
_YEARS = range(2, 9999)


class Instants(Protocol):
    """What a kind of schedule knows of its instants; all are naive, in UTC. OverflowError says that there is none."""

    def after(self, utc: datetime) -> datetime: ...
    def up_to(self, utc: datetime) -> datetime: ...
    def count(self, after: datetime, until: datetime) -> int: ...


def get(expression: str, timezone: str, seed: str = "") -> Schedule:
    """The schedule, read once for each process; raises :class:`ScheduleError` as :class:`Schedule` does."""
    return _read(expression, timezone, seed if chosen.is_in(expression) else "")


@lru_cache(maxsize=1024)
def _read(expression: str, timezone: str, seed: str) -> Schedule:
    return Schedule(expression, timezone, seed)


@dataclass(frozen=True)
class Schedule:
    """The slots of ``expression`` in ``timezone``, an IANA name.

    Where the expression says ``H``, the ``seed`` decides which numbers that are (see :mod:`cronkite.schedules.chosen`):
    a text that stands for the job, and stays the same. Without an ``H``, it is empty, whatever was given.

    Slots are aware, in UTC, in whole seconds. Instants given may be in any zone, but a naive one raises
    :class:`ValueError`, and one outside the years 2 to 9998 :class:`ScheduleError`. So does, at once and here, an
    expression or a zone that can't be used.

    On 29 March 2026 clocks in Berlin skip the hour from 02:00:

    >>> from zoneinfo import ZoneInfo
    >>> nightly = Schedule("30 2 * * *", "Europe/Berlin")
    >>> for slot in nightly.slots_between(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)):
    ...     print(slot, "is", slot.astimezone(ZoneInfo("Europe/Berlin")).time())
    2026-03-28 01:30:00+00:00 is 02:30:00
    2026-03-29 01:00:00+00:00 is 03:00:00
    2026-03-30 00:30:00+00:00 is 02:30:00
    """

    expression: str
    timezone: str
    seed: str = ""
    _instants: Instants = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not chosen.is_in(self.expression):
            # For those who compare: this is the same schedule, whose ever it is.
            object.__setattr__(self, "seed", "")
        says, clock = expressions.read(self.expression, self.seed), WallClock(self.timezone)
        object.__setattr__(self, "_instants", _instants(says, clock))

    def __str__(self) -> str:
        return f"{chosen.spell(self.expression, self.seed)!r} in {self.timezone}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it follows the clock on the wall through its changes: minute or hour begins with ``*``."""
        return isinstance(self._instants, OnTheWall) and self._instants.says.is_wildcard

    @property
    def is_once(self) -> bool:
        """Whether it names one instant and no other, as ``@at 2026-12-24T18:00`` does."""
        return isinstance(self._instants, _Once)

    @property
    def only_slot(self) -> datetime | None:
        """The slot that there is, if there is no other: that of a one-off."""
        return self._instants.at.replace(tzinfo=UTC) if isinstance(self._instants, _Once) else None

    @property
    def is_on_the_wall(self) -> bool:
        """Whether it names times on the zone's clock, and not instants in UTC that this clock only shows."""
        if isinstance(self._instants, _Once):
            return self._instants.is_on_the_wall
        return isinstance(self._instants, OnTheWall)

    def next_after(self, instant: datetime) -> datetime:
        """The first slot strictly after ``instant``.

        Raises :class:`ScheduleError` when there is none within 50 years: the expression may name only wall times that
        this zone skips, or the calendar ends. And :class:`OneOffIsOver` when the one that there was is not after it.
        """
        try:
            return _next_after(self, _to_utc(instant))
        except OverflowError:
            if isinstance(self._instants, _Once):
                raise OneOffIsOver(
                    f"{self.expression!r} is over, as that was at {self._instants.at:%Y-%m-%d %H:%M:%S} UTC; write a "
                    "time that is yet to come"
                ) from None
            raise ScheduleError(f"{self} has no slot within 50 years after {instant}") from None

    def latest_at(self, instant: datetime) -> datetime:
        """The newest slot that is not after ``instant``; raises :class:`ScheduleError` if there is none in 50 years."""
        try:
            return self._instants.up_to(_to_utc(instant)).replace(tzinfo=UTC)
        except OverflowError:
            if isinstance(self._instants, _Once):
                raise ScheduleError(f"{self} is yet to come") from None
            raise ScheduleError(f"{self} has no slot within 50 years up to {instant}") from None

    def slots_between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots with ``after < slot <= until``, ascending, each found when it is asked for."""
        slot, end = _to_utc(after), _to_utc(until)
        try:
            while slot < end and (slot := self._instants.after(slot)) <= end:
                yield slot.replace(tzinfo=UTC)
        except OverflowError:
            return

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many slots :meth:`slots_between` would yield, at two or three microseconds for each day between."""
        start, end = _to_utc(after), _to_utc(until)
        return self._instants.count(start, end) if start < end else 0

    def is_slot(self, instant: datetime) -> bool:
        """Whether ``instant`` is a slot, to the microsecond."""
        # In UTC throughout: Python subtracts within a zone by the wall clock, and holds an instant in an overlap for
        # unequal to the same one in another zone (PEP 495).
        second = _to_utc(instant).replace(tzinfo=UTC)
        return not instant.astimezone(UTC).microsecond and self.count_between(second - SECOND, second) == 1


@lru_cache(maxsize=1024)
def _next_after(schedule: Schedule, utc: datetime) -> datetime:
    """See :meth:`Schedule.next_after`: many jobs may have the same schedule, and then fall due at the same slot."""
    return schedule._instants.after(utc).replace(tzinfo=UTC)  # noqa: SLF001 - the rest of that method


def _instants(says: Expression | Interval | Moment, clock: WallClock) -> Instants:
    if isinstance(says, Interval):
        return says
    return OnTheWall(says, clock) if isinstance(says, Expression) else _Once(says, clock)


class _Once:
    """The one instant of a moment."""

    def __init__(self, moment: Moment, clock: WallClock) -> None:
        self.is_on_the_wall = moment.offset is None
        if moment.offset is None:
            offset, change = clock.read(moment.wall)
            # As a fixed time of an expression: not in the gap, but after it; and of two passes, the first.
            self.at = change.at if change is not None and change.is_gap else moment.wall - offset
        else:
            self.at = moment.wall - moment.offset

    def after(self, utc: datetime) -> datetime:
        if utc >= self.at:
            raise OverflowError
        return self.at

    def up_to(self, utc: datetime) -> datetime:
        if utc < self.at:
            raise OverflowError
        return self.at

    def count(self, after: datetime, until: datetime) -> int:
        return int(after < self.at <= until)


def _to_utc(instant: datetime) -> datetime:
    """The naive UTC of an aware datetime, with its fraction of a second cut off."""
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} is naive; a schedule needs an aware datetime")
    if instant.year not in _YEARS:
        raise ScheduleError(f"{instant} is outside the years 2 to 9998")
    return instant.astimezone(UTC).replace(tzinfo=None, microsecond=0)
