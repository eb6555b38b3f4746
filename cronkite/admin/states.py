"""How does a job stand? It waits for its slot, runs, is stuck, is off, or cannot run on this machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronkite import health
from cronkite.admin import marks, shown, strips
from cronkite.claims import seats
from cronkite.code import commands, functions
from cronkite.models import Job
from cronkite.models.queries import is_stuck
from cronkite.reports import hindrances

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from django.utils.safestring import SafeString

#: What can be asked for, and its name.
NAMES: dict[str, _StrOrPromise] = {
    "enabled": _("enabled"),
    "disabled": _("disabled"),
    "running": _("running"),
    "stuck": _("stuck"),
    "asked": _("run asked for"),
    "overdue": _("due or asked for, and not taken"),
    "missing": _("function missing here"),
    "unfit": _("cannot run on this machine"),
}

#: What says when a job is to run.
SCHEDULE = ("schedule", "timezone", "catch_up")


def missing(dotted: str) -> str:
    """Say why what a job's ``callee`` leads to can't be run on the node that shows the page; nothing if it can."""
    return hindrances.of_function(dotted)


def having(state: str) -> Q:
    """Return the condition that a job is in the state, one of :data:`NAMES`."""
    if state == "missing":
        return _missing(Job.objects.order_by().values_list("function", flat=True).distinct())
    if state == "overdue":
        return Q(pk__in=[job.id for job in health.overdue()])
    if state == "unfit":
        return _unfit(Job.objects.order_by().values_list("pk", *SCHEDULE))
    return {
        "enabled": Q(enabled=True),
        "disabled": Q(enabled=False),
        "running": Q(lock__isnull=False) & ~is_stuck(),
        "stuck": is_stuck(),
        "asked": Q(asked_at__isnull=False),
    }[state]


def hindered() -> Q:
    """Return the condition that this machine can't run a job, for its function or its schedule. One query."""
    every = list(Job.objects.order_by().values_list("pk", *SCHEDULE, "function"))
    return _missing({function for *_, function in every}) | _unfit(tuple(said) for *said, _ in every)


def _missing(every: Iterable[str]) -> Q:
    """Return the condition for jobs of those functions that are missing here."""
    names = list(every)
    functions.try_all(names)
    found = Q(function__in=[function for function in names if function != commands.CALL and missing(function)])
    if commands.CALL in names:
        called = Job.objects.order_by().filter(function=commands.CALL).values_list("pk", "args")
        found |= Q(pk__in=[pk for pk, args in called if missing(commands.callee(commands.CALL, args))])
    return found


def _unfit(every: Iterable[tuple[Any, ...]]) -> Q:
    """Return the condition for those of these jobs, their keys and what says when they run, that can't run here."""
    # By their keys, as there are few, if any: databases differ in which texts they take for the same.
    found: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for pk, *said in every:
        found[tuple(said)].append(pk)
    unfit = [said for said in found if hindrances.of_schedule(Job(**dict(zip(SCHEDULE, said, strict=True))))]
    return Q(pk__in=[pk for said in unfit for pk in found[said]])


def tell_room(jobs: Sequence[Any]) -> None:
    """Give each of the jobs, which have ``now``, whether it waits for room in its group, in ``lacks_room``."""
    waiting = [job for job in jobs if job.group and job.due_at is not None and job.due_at <= job.now]
    full = seats.full(waiting)
    for job in waiting:
        job.lacks_room = job.group in full


def describe(job: Job, strip: strips.Strip | None, problem: str) -> SafeString:
    """Return how the job stands, in a line for each thing that is to be said; ``problem`` is its function's."""
    lines = [_lock(job, strip)] if job.is_locked else []
    if job.asked_at is not None:
        asked = gettext("run now: asked for by %(name)s, %(when)s") % {
            "name": job.asked_by,
            "when": shown.away(job.asked_at, job.now),
        }
        lines.append(format_html("{}", asked))
    if problem:
        lines.append(format_html('<span class="cronkite-bad" title="{}">{}</span>', problem, NAMES["missing"]))
    if unfit := hindrances.of_schedule(job):
        # Not by a tip alone: it is told by words only.
        said = '<span class="cronkite-bad">{}</span><div class="cronkite-words">{}</div>'
        lines.append(format_html(said, NAMES["unfit"], unfit))
    if not job.is_locked and getattr(job, "lacks_room", False):
        said = gettext("waits until its group, %(group)s, has room") % {"group": job.group}
        lines.append(format_html("{}", said))
    if not job.is_locked or not job.enabled:
        name = NAMES["enabled" if job.enabled else "disabled"]
        lines.append(format_html("{}", gettext("done: it was to run once") if job.is_done else name))
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))


def _lock(job: Job, strip: strips.Strip | None) -> SafeString:
    assert job.locked_at is not None
    if job.is_stuck or job.is_stale:
        words = (
            gettext("stuck: no sign of life from %(node)s for %(span)s, since")
            if job.is_stuck
            else gettext("the next run takes the lock over: no sign of life from %(node)s for %(span)s, since")
        )
        said = words % {"node": job.locked_by, "span": shown.span(job.now - job.locked_at)}
        return format_html('<span class="cronkite-bad">{} {}</span>', said, shown.instant(job.locked_at))
    run = strip.last_run if strip else None
    if run is not None and run.fence == job.fence and run.started_at is not None:
        said = gettext("running on %(node)s for %(span)s") % {
            "node": job.locked_by,
            "span": shown.span(job.now - run.started_at),
        }
    else:
        said = gettext("running on %(node)s, seen alive %(seen)s") % {
            "node": job.locked_by,
            "seen": shown.away(job.locked_at, job.now),
        }
    return format_html("{} {}", marks.mark(marks.Status.RUNNING), said)
