"""What will a schedule do? Its words, its next runs, and what a person should know before saving it."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronkite import schedules
from cronkite.admin import shown
from cronkite.exceptions import ScheduleError
from cronkite.schedules import cautions, expressions, zones
from cronkite.schedules.coming import DEBIANS_LONGEST_GAP
from cronkite.schedules.every import Interval
from cronkite.schedules.expressions import Expression
from cronkite.schedules.once import Moment
from cronkite.schedules.words import choice, describe
from cronkite.schedules.zones import SECOND, UTC, Change, WallClock

#: How many runs are told.
RUNS = 10
#: How far ahead clock changes are looked for: from a last Sunday in March to the next one it is up to 371 days.
AHEAD = timedelta(days=372)
DAY = timedelta(days=1)
#: So many runs a day are worth a warning; and a first run that is so far away.
OFTEN, FAR = 1440, timedelta(days=366)
#: A year without a leap day.
COMMON_YEAR = 2001


@dataclass(frozen=True)
class Run:
    """One coming run, as it is shown: on the zone's wall clock, with its offset from UTC, and how far away it is."""

    date: str
    time: str
    offset: str
    away: str


@dataclass(frozen=True)
class Coming:
    """What there is to tell of a schedule; ``problem`` says why it is none, and then there is nothing else.

    ``choice`` tells what was chosen for the job, if there was something to choose.
    """

    zone: str
    words: str = ""
    choice: str = ""
    runs: list[Run] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problem: str = ""


def look_ahead(expression: str, timezone: str, now: datetime, seed: str = "") -> Coming:
    """Return what the schedule will do after ``now``; an empty zone is the project's, and the ``seed`` the job's."""
    zone = timezone or settings.TIME_ZONE
    try:
        schedule = schedules.get(expression, zone, seed)
        first = schedule.next_after(now)
    except ScheduleError as error:
        return Coming(zone, problem=error.sentence)
    says = expressions.read(expression, seed)
    slots = [first]
    try:
        while len(slots) < RUNS:
            slots.append(schedule.next_after(slots[-1]))
    except ScheduleError:
        pass  # the calendar ends
    return Coming(
        zone,
        describe(expression, seed),
        choice(expression, seed),
        [_run(slot, zone, now) for slot in slots],
        [*cautions.of(expression, seed), *_warnings(says, zone, first, now)],
    )


def _run(slot: datetime, zone: str, now: datetime) -> Run:
    local = slot.astimezone(zones.get(zone))
    return Run(
        date_format(local, "D Y-m-d"), f"{local:%H:%M:%S}", f"UTC{local.isoformat()[-6:]}", shown.away(slot, now)
    )


def _warnings(says: Expression | Interval | Moment, zone: str, first: datetime, now: datetime) -> list[str]:
    if isinstance(says, Interval):
        return list(_frequency(DAY // timedelta(seconds=says.seconds)))
    if isinstance(says, Moment):
        return [*_at_change(says, zone), *_distance(first, now)]
    a_day = len(says.hours) * len(says.minutes) * len(says.seconds)
    return [*_seconds(says), *_frequency(a_day), *_rarity(says, first, now), *_clock_changes(says, zone, now)]


def _seconds(says: Expression) -> Iterator[str]:
    if says.seconds != (0,):
        yield _("It names seconds. A tick comes each minute, so it needs nodes that stay: manage.py cron loop.")


def _frequency(a_day: int) -> Iterator[str]:
    if a_day >= OFTEN:
        yield ngettext("That is %(count)d run on each day.", "That is %(count)d runs on each day.", a_day) % {
            "count": a_day
        }


def _rarity(says: Expression, first: datetime, now: datetime) -> Iterator[str]:
    lengths = [monthrange(COMMON_YEAR, month)[1] for month in says.months]
    days = [*says.possible_days, *(day.needs for day in says.month_days)]
    if not says.day_or and min(days) > min(lengths):
        yield _("Months that lack the day are left out.")
    yield from _distance(first, now)


def _distance(first: datetime, now: datetime) -> Iterator[str]:
    if first - now > FAR:
        yield _("The first run is more than a year away.")


def _at_change(says: Moment, zone: str) -> Iterator[str]:
    """Tell what a change of the zone's clock does to a time that it skips or shows twice."""
    _offset, change = WallClock(zone).read(says.wall)
    if says.offset is not None or change is None:
        return
    at = _as_shown(change)
    if change.is_gap:
        yield (
            _("On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs at %(end)s instead.")
            % at
        )
    else:
        yield _(
            "On %(date)s the clock shows the time from %(first)s to %(end)s twice, and the job runs the first time. An "
            "offset behind the time says which one is meant, as in %(example)s."
        ) % {**at, "example": replace(says, offset=change.after)}


def _clock_changes(says: Expression, zone: str, now: datetime) -> Iterator[str]:
    """Tell of the next change of the zone's clock in either direction that a run falls into."""
    told = set()
    start = now.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    for change in WallClock(zone).changes_between(start, start + AHEAD):
        sentence = _change(says, change)
        if sentence and change.is_gap not in told:
            told.add(change.is_gap)
            yield sentence


def _change(says: Expression, change: Change) -> str:
    inside = says.count(change.first, change.end)
    midnight = change.first.replace(hour=0, minute=0, second=0)
    # A schedule that goes round the clock has no run to lose, nor one too many.
    if not inside or (says.is_wildcard and inside < says.count(midnight, midnight + DAY)):
        return ""
    at = _as_shown(change)
    if not change.is_gap:
        return (
            _("On %(date)s the clock shows the time from %(first)s to %(end)s twice, and the job runs both times.") % at
            if says.is_wildcard
            else ""
        )
    if says.is_wildcard:
        return _("On %(date)s the clock skips the time from %(first)s to %(end)s, and the job does not run.") % at
    # One slot stands for all that are skipped, and for what is named at the end of the gap.
    count = inside + says.count(change.end, change.end + SECOND)
    if count == 1:
        words = _(
            "On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs at %(end)s instead."
        )
    elif change.end - change.first < DEBIANS_LONGEST_GAP:
        words = ngettext(
            "On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs once at %(end)s, for "
            "%(count)d time that it names. Debian's cron would run it for each.",
            "On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs once at %(end)s, for all "
            "%(count)d times that it names. Debian's cron would run it for each.",
            count,
        )
    else:
        words = ngettext(
            "On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs once at %(end)s, for "
            "%(count)d time that it names.",
            "On %(date)s the clock skips the time from %(first)s to %(end)s, and the job runs once at %(end)s, for all "
            "%(count)d times that it names.",
            count,
        )
    return words % {**at, "count": count}


def _as_shown(change: Change) -> dict[str, str]:
    return {
        "date": date_format(change.first, "Y-m-d"),
        "first": time_format(change.first, "H:i"),
        # Of another day, if a day is skipped, or midnight.
        "end": time_format(change.end, "H:i") if change.is_within_day else date_format(change.end, "Y-m-d H:i"),
    }
