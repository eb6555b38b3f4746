"""Where does a bar lead? To the log that it shows; of several, to those of the outcome that it is marked by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from urllib.parse import quote

from django.urls import reverse

from cronkite.admin import marks
from cronkite.admin.timeline.events import AHEAD, Event
from cronkite.models import Log
from cronkite.schedules.zones import SECOND


def to_logs(site: str) -> Callable[[Sequence[Event]], str]:
    """Return what gives the address of a bar, in the admin site of this name; empty for slots that are to come."""
    listed = reverse("admin:cronkite_log_changelist", current_app=site)
    before, _, after = reverse("admin:cronkite_log_change", args=[0], current_app=site).rpartition("/0/")

    def link(events: Sequence[Event]) -> str:
        if len(events) == 1 and events[0].log_id is not None:
            return f"{before}/{events[0].log_id}/{after}"
        if all(event.status == AHEAD for event in events):
            return ""
        return f"{listed}?{'&'.join(part for part in (_whose(events), _outcome(events), _when(events)) if part)}"

    return link


def _whose(events: Sequence[Event]) -> str:
    jobs, nodes = {event.job_id for event in events}, {event.node for event in events}
    if len(jobs) == 1 and (job := jobs.pop()) is not None:
        return f"job={job}"
    return f"node={quote(nodes.pop(), safe='')}" if len(nodes) == 1 and "" not in nodes else ""


def _outcome(events: Sequence[Event]) -> str:
    """Return the filter by the worst outcome; missed slots are told by logs of their own, or by those of other runs."""
    worst = marks.worst({event.status for event in events})
    told_by = {event.told_by if event.status == Log.Status.MISSED else worst for event in events}
    if worst != Log.Status.MISSED or told_by == {worst}:
        return f"status__exact={worst}"
    return "" if worst in told_by else "missed__gt=0"


def _when(events: Sequence[Event]) -> str:
    """Return when the logs were written, of all outcomes, so that whoever drops the filter finds the whole bar."""
    first, end = min(event.start for event in events), max(event.end for event in events)
    if all(event.log_id is None for event in events):
        return f"created__gte={_instant(first)}&created__lt={_instant(end)}"
    # A log is written when its run is claimed, just before that begins, and a missed slot's some time after it.
    begin = f"created__gte={_instant(first - 2 * SECOND)}"
    if any(event.status == Log.Status.MISSED for event in events):
        return begin
    return f"{begin}&created__lt={_instant(max(event.start for event in events) + SECOND)}"


@lru_cache(maxsize=1024)
def _instant(moment: datetime) -> str:
    """Return an instant to the second, the shortest way that Django reads."""
    local = moment.astimezone(timezone.utc)
    return f"{local:%Y-%m-%dT%H:%M:%S}Z" if local.second else f"{local:%Y-%m-%dT%H:%M}Z"
