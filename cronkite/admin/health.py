"""Is all well? The strip on top of the pages, which takes a few lines whatever is wrong.

What is most urgent stands first, the rest is folded away with the nodes. A name is a link to what there is to see of
it, and the number of the others one to a list of them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cronkite import health
from cronkite.admin import rights, shown, urls
from cronkite.reports.findings import Finding, Named
from cronkite.reports.vitals import NodeHealth

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    AdminBase = admin.ModelAdmin[Any]
else:
    AdminBase = admin.ModelAdmin

#: What each level says, from 0 on as monitoring plugins count them.
VERDICTS: tuple[_StrOrPromise, ...] = (
    _("All is well"),
    _("Something needs a look"),
    _("Something is wrong"),
    _("Nothing is known yet"),
)
#: How many kinds of things that are wrong are in sight.
SHOWN = 3
#: Seconds that a node's clock may be off without being told.
SKEW = 1.0
#: The kinds that tell how runs ended, or that there were none: what logs say.
OUTCOMES = frozenset({"failing", "missed"})
#: Where all jobs of a kind are listed: the filter and its value.
LISTS = {
    "stuck": {"state": "stuck"},
    "failing": {"outcome": "failing"},
    "asked": {"state": "overdue"},
    "late": {"state": "overdue"},
    "unfit": {"state": "overdue"},
    "held": {"state": "overdue"},
    "missed": {"outcome": "missed-lately"},
}

#: Gives the address of a page, as :func:`cronkite.admin.urls.url` does, in a site that is known.
Url = Callable[..., str]


@dataclass(frozen=True)
class Name:
    """A job or a node: as much of its name as there is room for, all of it, what is said of it, and what to look at."""

    short: str
    full: str
    note: str
    url: str


@dataclass(frozen=True)
class Line:
    """Something that is wrong: what, with whom, and where the others are."""

    what: str
    names: list[Name]
    more: str
    url: str

    def __str__(self) -> str:
        """What folded lines say."""
        return self.what


@dataclass(frozen=True)
class Strip:
    """What the strip says: the level (0 to 3), its name, what is wrong, and a line for each node.

    ``lines`` are in sight, ``rest`` and ``nodes`` folded away, and ``folded`` says what is.
    """

    level: int
    verdict: str
    lines: list[Line]
    rest: list[Line]
    nodes: list[str]
    folded: str


class StripOnTop(AdminBase):
    """A ``ModelAdmin`` whose list and forms have the strip on top."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; whoever acts on it is sent to where there is one."""
        strip = {"cronkite_health": report(request, self.admin_site)} if request.method == "GET" else {}
        return super().changelist_view(request, {**strip, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form."""
        strip = {"cronkite_health": report(request, self.admin_site)}
        return super().changeform_view(request, object_id, form_url, {**strip, **(extra_context or {})})


def report(request: HttpRequest, site: AdminSite) -> Strip | None:
    """Return what :mod:`cronkite.health` finds, as far as the user may know it: nothing to who may not view jobs.

    How runs ended is for those who may view logs.
    """
    if not rights.may_view_jobs(request.user):
        return None
    may_view_logs = request.user.has_perm("cronkite.view_log")
    found = health.report()
    findings = [finding for finding in found.findings if may_view_logs or finding.kind not in OUTCOMES]
    lines = [_line(finding, partial(urls.url, site.name), may_view_logs) for finding in findings]
    nodes = [_node(node) for node in found.nodes[: health.LISTED]]
    if unlisted := len(found.nodes) - len(nodes):
        nodes.append(ngettext("and %(count)d more", "and %(count)d more", unlisted) % {"count": unlisted})
    level = max((finding.level for finding in findings), default=health.Level.OK)
    return Strip(
        level, str(VERDICTS[level]), lines[:SHOWN], lines[SHOWN:], nodes, _folded(len(lines) - SHOWN, len(found.nodes))
    )


def _folded(problems: int, nodes: int) -> str:
    told = [ngettext("%(count)d node", "%(count)d nodes", nodes) % {"count": nodes}] if nodes else []
    if problems > 0:
        more = ngettext("%(count)d more thing to look at", "%(count)d more things to look at", problems)
        told.insert(0, more % {"count": problems})
    return " · ".join(told)


def _line(finding: Finding, url: Url, may_view_logs: bool) -> Line:
    names = [
        Name(each.short, each.name, each.note, _url_of(finding.kind, each, url, may_view_logs))
        for each in finding.named
    ]
    more = ""
    if finding.more:
        more = ngettext("and %(count)d more", "and %(count)d more", finding.more) % {"count": finding.more}
    asked = LISTS.get(finding.kind)
    return Line(finding.what, names, more, url("job_changelist", **asked) if more and asked else "")


def _url_of(kind: str, named: Named, url: Url, may_view_logs: bool) -> str:
    """Return where to look: at the run that failed, the runs that were made instead, or the job or node itself."""
    if kind in {"gone", "skew"}:
        return url("log_changelist", node=named.name) if may_view_logs else ""
    if named.log is not None:
        return url("log_change", named.log)
    if named.job is None:
        return ""
    return url("log_changelist", job=named.job) if kind == "missed" else url("job_change", named.job)


def _node(node: NodeHealth) -> str:
    said = gettext("%(node)s ticked %(span)s ago") % {
        "node": node.name,
        "span": shown.span(timedelta(seconds=node.age)),
    }
    if node.stopped_at is not None:
        return gettext("%(said)s, and then stopped") % {"said": said}
    if node.skew is not None and abs(node.skew) > SKEW:
        off = timedelta(seconds=abs(node.skew))
        template = (
            gettext("%(said)s, its clock is %(span)s fast")
            if node.skew > 0
            else gettext("%(said)s, its clock is %(span)s slow")
        )
        return template % {"said": said, "span": shown.precise(off)}
    return said
