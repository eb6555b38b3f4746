"""Which stretch of time does the page show, and where in it does an instant lie?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Size:
    """How long a window is, how far apart its lines are, and how long before it a run may have begun to be seen.

    Where there are too many logs to be told one by one, they are counted in so many ``pieces``.
    """

    label: _StrOrPromise
    length: timedelta
    line: timedelta
    before: timedelta
    pieces: int


SIZES = {
    "hour": Size(_("Hour"), HOUR, timedelta(minutes=10), DAY, 60),
    "day": Size(_("Day"), DAY, 3 * HOUR, DAY, 48),
    "week": Size(_("Week"), 7 * DAY, DAY, 7 * DAY, 56),
}
#: The part of the window that lies ahead, unless another one was asked for.
AHEAD = 0.15
#: Years that every database and every zone can tell.
FIRST_YEAR, LAST_YEAR = 1971, 2900


@dataclass(frozen=True)
class Line:
    """A line across the lanes: where (0 to 100), and what the clock shows there."""

    at: float
    label: str

    @property
    def x(self) -> str:
        """Where it is, for SVG."""
        return percent(self.at)


@dataclass(frozen=True)
class Window:
    """The time from ``start`` to ``end`` (UTC), and the database's ``now``, which need not be inside."""

    name: str
    start: datetime
    end: datetime
    now: datetime

    @property
    def size(self) -> Size:
        """What is known of windows of this name."""
        return SIZES[self.name]

    @property
    def has_now(self) -> bool:
        """Whether now is inside."""
        return self.start <= self.now <= self.end

    def at(self, instant: datetime) -> float:
        """Return where an instant lies, from 0 to 100; what is outside lies on the edge."""
        return 100 * min(1.0, max(0.0, (instant - self.start) / (self.end - self.start)))

    def moved(self, parts: float) -> datetime:
        """Return the end of the window that lies so many of its lengths later."""
        return self.end + self.size.length * parts

    def lines(self) -> Iterator[Line]:
        """Return lines at round times of the active zone."""
        local = timezone.localtime(self.start)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        step = self.size.line
        if step >= DAY:
            days = (midnight + DAY * n for n in range(1, 1 + -(-self.size.length // DAY)))
            times = [day.replace(fold=0) for day in days]
        else:
            first = midnight + step * ((local - midnight) // step + 1)
            times = [
                first.astimezone(timezone.get_fixed_timezone(0)) + step * n for n in range(self.size.length // step)
            ]
        for instant in times:
            if self.start < instant < self.end:
                shown = timezone.localtime(instant)
                yield Line(self.at(instant), date_format(shown, "D j") if step >= DAY else f"{shown:%H:%M}")


def percent(at: float) -> str:
    """Return a place or a width as SVG takes it, whatever the language's decimal sign is."""
    return f"{at:.2f}%"


def read(name: str, end: str, now: datetime) -> Window:
    """Return the window that the page's address asks for; what makes no sense there is the default."""
    size = SIZES.get(name)
    if size is None:
        name, size = "hour", SIZES["hour"]
    until = None
    with suppress(ValueError):
        until = parse_datetime(end)
    if until is None or not FIRST_YEAR <= until.year <= LAST_YEAR:
        until = now + size.length * AHEAD
    elif timezone.is_naive(until):
        until = timezone.make_aware(until)
    # Whole minutes: the pieces of the window are told exactly, and in short, in thousands of addresses.
    until = until.replace(second=0, microsecond=0)
    return Window(name, until - size.length, until, now)
