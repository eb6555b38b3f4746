"""Which slots do the schedules of the histories have? Rules so simple that they need no crontab.

Instants are seconds since 1970 in UTC, as plain numbers: halves are exact, so nothing is ever rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86400


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
        return self.between(instant, instant + 2 * DAY)[0]


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
}
EXPRESSIONS = list(dict.fromkeys(expression for expression, _ in SLOTS))
ZONES = ["", "Europe/Berlin"]

#: Some hours before Berlin's clocks go forward, and before they go back.
BEGINNINGS = [datetime(2026, 3, 28, 20, 0, 30, tzinfo=UTC), datetime(2026, 10, 24, 20, 0, 30, tzinfo=UTC)]
