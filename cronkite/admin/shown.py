"""How are instants, spans of time and texts shown to people?"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext

from cronkite.database import clock
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.runs.capture import encodable
from cronkite.schedules import zones
from cronkite.schedules.durations import DAY, HOUR, MINUTE
from cronkite.schedules.words import listed

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from django.utils.safestring import SafeString

#: What stands where there is nothing, as elsewhere in the admin.
NOTHING = "-"
#: How many jobs a message names one by one.
NAMED = 10


def json_text(value: object, indent: int | None = None) -> str:
    """Return a value as JSON for a page; half a letter, which JSON may have by its escapes, can't be sent."""
    return encodable(json.dumps(value, indent=indent, ensure_ascii=False), "utf-8")


def instant(moment: datetime, zone: tzinfo | None = None) -> SafeString:
    """Return an instant to the second, with its zone; a line may end before the time, but not within the date.

    Django's own way leaves out the seconds and the zone. The zone is the active one unless another is given.
    """
    local = clock.on_clock(moment, zone)
    return format_html(
        '<span class="nowrap">{}</span> <span class="nowrap">{}</span>', f"{local:%Y-%m-%d}", f"{local:%H:%M:%S %Z}"
    )


def plain(moment: datetime, zone: tzinfo | None = None) -> str:
    """Return an instant as :func:`instant` does, as mere text."""
    return _plain(moment, zone or timezone.get_current_timezone())


@lru_cache(maxsize=1024)
def _plain(moment: datetime, zone: tzinfo) -> str:
    """Return the text; a timeline has the same instants in each of its lanes."""
    return f"{clock.on_clock(moment, zone):%Y-%m-%d %H:%M:%S %Z}"


def stretch(first: datetime, last: datetime) -> tuple[str, str]:
    """Return two whole minutes in short: without seconds, and the day only once if it is the same."""
    begin, end = clock.on_clock(first), clock.on_clock(last)
    same = begin.date() == end.date()
    return f"{begin:%Y-%m-%d %H:%M %Z}", f"{end:%H:%M %Z}" if same else f"{end:%Y-%m-%d %H:%M %Z}"


def zone_of(job: Job) -> tzinfo:
    """Return the zone whose clock the job follows; the project's, too, if the job's is none that this node knows."""
    try:
        return zones.get(job.timezone) if job.timezone else timezone.get_default_timezone()
    except ScheduleError:
        return timezone.get_default_timezone()


def span(length: timedelta) -> str:
    """Return a span of time in its two largest units; what is shorter than a minute in seconds."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < MINUTE:
        return gettext("%(seconds)d s") % {"seconds": seconds}
    if seconds < HOUR:
        return gettext("%(minutes)d min") % {"minutes": seconds // MINUTE}
    if seconds < DAY:
        return gettext("%(hours)d h %(minutes)d min") % {
            "hours": seconds // HOUR,
            "minutes": seconds % HOUR // MINUTE,
        }
    return gettext("%(days)d d %(hours)d h") % {"days": seconds // DAY, "hours": seconds % DAY // HOUR}


def away(moment: datetime, now: datetime) -> str:
    """Return how far an instant lies ahead or back, as in "in 5 min" and "5 min ago"."""
    if moment > now:
        return gettext("in %(span)s") % {"span": span(moment - now)}
    return gettext("%(span)s ago") % {"span": span(now - moment)}


def precise(length: timedelta) -> str:
    """Return how long something took: below a minute to the hundredth of a second, below an hour to the second."""
    seconds = length.total_seconds()
    if seconds < MINUTE:
        return gettext("%(seconds)s s") % {"seconds": number_format(seconds, 2)}
    if seconds < HOUR:
        return gettext("%(minutes)d min %(seconds)d s") % {"minutes": seconds // MINUTE, "seconds": seconds % MINUTE}
    return span(length)


def names(jobs: list[Job]) -> str:
    """Name the jobs, but no endless list of them."""
    named = listed([job.name for job in jobs[:NAMED]])
    more = len(jobs) - NAMED
    if more <= 0:
        return named
    said = ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more)
    return said % {"names": named, "count": more}


def moment_column(column: str, label: _StrOrPromise) -> Callable[[Any, Model], SafeString | str]:
    """Make a column of an instant."""

    @admin.display(description=label, ordering=column)
    def show(_: Any, record: Model) -> SafeString | str:
        moment = getattr(record, column)
        return instant(moment) if moment else NOTHING

    return show
