"""How does the timeline's page come about?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronkite.admin import addresses, crumbs, health, marks, shown, urls
from cronkite.admin.timeline import drawing, lanes, links, windows
from cronkite.admin.timeline.events import Event, ahead, happened
from cronkite.admin.timeline.lanes import Lane, Link, Lock
from cronkite.admin.timeline.windows import Window
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.models.queries import like

if TYPE_CHECKING:
    from django.contrib import admin

#: How many jobs a page has lanes for.
JOBS = 40
#: How many jobs that are locked a node's page looks at, for runs that began long ago.
LOCKED = 500


def show(model_admin: admin.ModelAdmin[Job], request: HttpRequest) -> HttpResponse:
    """Return the page; whoever calls this has seen to permissions."""
    asked = {name: addresses.text(request, name) for name in ("window", "until", "by", "q", "job", "p")}
    window = windows.read(asked["window"], asked["until"], clock.now("default"))
    by = "node" if asked["by"] == "node" else "job"
    jobs = _jobs(asked)
    page = int(asked["p"]) if asked["p"].isascii() and asked["p"].isdecimal() and len(asked["p"]) < 6 else 0  # noqa: PLR2004
    site = model_admin.admin_site

    link = links.to_logs(site.name)

    def to(**changes: Any) -> str:
        kept = {**asked, "window": window.name, "by": by, "until": asked["until"] and window.end.isoformat(), **changes}
        return f"?{urlencode({name: value for name, value in kept.items() if value})}"

    if by == "job":
        listed = list(jobs[page * JOBS : (page + 1) * JOBS + 1])
        drawn = _by_job(listed[:JOBS], window, link, site.name)
        pages = {"previous": to(p=page - 1 or "") if page else "", "next": to(p=page + 1) if len(listed) > JOBS else ""}
    else:
        pages = {"previous": "", "next": ""}
        drawn = _by_node(jobs if asked["q"] or asked["job"] else None, window, link)
    lines, now_x = list(window.lines()), windows.percent(window.at(window.now)) if window.has_now else ""
    context = {
        **site.each_context(request),
        **crumbs.of(model_admin),
        "title": gettext("Timeline"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "cronkite_health": health.report(request, site),
        "window": window,
        "lines": lines,
        "now_x": now_x,
        "start": shown.plain(window.start),
        "end": shown.plain(window.end),
        "lanes": drawn,
        "drawn": [(lane, drawing.draw(lane, now_x)) for lane in drawn],
        "symbols": drawing.symbols(line.x for line in lines),
        "by": by,
        "asked": asked,
        "sizes": [(name, size.label, to(window=name, p="")) for name, size in windows.SIZES.items()],
        "kinds": [("job", _("by job"), to(by="job", p="")), ("node", _("by node"), to(by="node", p=""))],
        "earlier": to(until=window.moved(-0.5).isoformat()),
        "later": to(until=window.moved(0.5).isoformat()),
        "present": to(until=""),
        "legend": [(marks.mark(status), marks.Status(status).label) for status in reversed(marks.WORST_FIRST)],
        **pages,
    }
    request.current_app = site.name
    return TemplateResponse(request, "admin/cronkite/job/timeline.html", context)


def _jobs(asked: dict[str, str]) -> QuerySet[Job]:
    jobs = Job.objects.with_now().order_by("name", "id")
    if asked["job"]:
        key = asked["job"]
        return jobs.filter(pk=int(key)) if key.isascii() and key.isdecimal() and len(key) < 19 else jobs.none()  # noqa: PLR2004
    return jobs.filter(like(asked["q"])) if asked["q"] else jobs


def _by_job(jobs: list[Job], window: Window, link: Link, site: str) -> list[Lane]:
    known = {job.pk: job for job in jobs}
    events: dict[int, list[Event]] = {pk: [] for pk in known}
    for event in happened(known, known, window, "job"):
        if event.job_id in events:
            events[event.job_id].append(event)
    drawn = []
    for job in jobs:
        runs, missed = _split(events[job.pk])
        drawn.append(
            Lane(
                job.name,
                url=urls.url(site, "job_change", job.pk),
                note="" if job.enabled else gettext("disabled"),
                runs=lanes.merge(runs, window, link),
                missed=lanes.merge(missed, window, link),
                ahead=lanes.merge(ahead(job, window), window, lambda _: ""),
                lock=_lock(job, events[job.pk], window),
            )
        )
    return drawn


def _by_node(jobs: QuerySet[Job] | None, window: Window, link: Link) -> list[Lane]:
    keys = None if jobs is None else [job.pk for job in jobs[:LOCKED]]
    locked = {job.pk: job for job in Job.objects.filter(lock__isnull=False)[:LOCKED]}
    nodes: dict[str, list[Event]] = {}
    passed_over: list[Event] = []
    for event in happened(keys, locked, window, "node"):
        if event.status == Log.Status.MISSED:
            passed_over.append(event)
        else:
            nodes.setdefault(event.node, []).append(event)
    drawn = []
    for node, events in sorted(nodes.items()):
        bars = lanes.stack(events, window, link)
        drawn.append(Lane(node, runs=bars, rows=1 + max(bar.row for bar in bars)))
    if passed_over:
        drawn.append(Lane(gettext("no node"), note=gettext("missed"), missed=lanes.merge(passed_over, window, link)))
    return drawn


def _split(events: Iterable[Event]) -> tuple[list[Event], list[Event]]:
    runs: list[Event] = []
    missed: list[Event] = []
    for event in events:
        (missed if event.status == Log.Status.MISSED else runs).append(event)
    return runs, missed


def _lock(job: Job, events: Sequence[Event], window: Window) -> Lock | None:
    """Return the stretch for which the lock has been held without a sign of life, or just held."""
    if job.locked_at is None or not window.has_now:
        return None
    begun = next((event.start for event in events if event.status == Log.Status.RUNNING), job.locked_at)
    status = "silent" if job.is_stuck or job.is_stale else "held"
    said = gettext("locked by %(node)s, last sign of life %(seen)s") % {
        "node": job.locked_by,
        "seen": shown.away(job.locked_at, job.now),
    }
    left, right = window.at(begun), window.at(window.now)
    return Lock(status, windows.percent(left), windows.percent(max(right, left + lanes.LEAST)), said)
