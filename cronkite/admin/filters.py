"""By what can lists of jobs and of logs be narrowed?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cronkite.admin import orders, states
from cronkite.models import Job, Log

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: How many jobs a filter offers; others are found by a job's own link to its logs.
JOBS = 100
#: How many of the newest logs are looked at for the names of nodes: all of them may be millions.
LOGS = 1000


class OrderFilter(admin.SimpleListFilter):
    """In which order; a choice beside the heads of columns, which a phone has no room for."""

    title = _("order")
    parameter_name = "order"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the orders that this person may know; one is by how runs ended."""
        may = request.user.has_perm("cronkite.view_log")
        return [(name, label) for name, label in orders.NAMES.items() if may or name != "last"]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Offer the order by name, too, which is the usual one; a column that was chosen before counts no more."""
        for name, label in [(None, _("by name")), *self.lookup_choices]:
            asked = {} if name is None else {self.parameter_name: name}
            yield {
                "selected": self.value() == name,
                "query_string": changelist.get_query_string(asked, [self.parameter_name, ORDER_VAR]),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Leave none out: the order is the list's own business."""
        return queryset


class StateFilter(admin.SimpleListFilter):
    """How the job stands now."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the states."""
        return [*states.NAMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs in that state."""
        state = self.value()
        return queryset.filter(states.having(state)) if state in states.NAMES else queryset


class OutcomeFilter(admin.SimpleListFilter):
    """How the job's last run ended."""

    title = _("last outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer what a run can come to."""
        outcomes = [(value, label) for value, label in Log.Status.choices if value != Log.Status.MISSED]
        return [*outcomes, ("none", _("no run yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs whose last claim ended so."""
        outcome = self.value()
        if outcome == "none":
            return queryset.filter(fence=0)
        if outcome not in Log.Status.values:
            return queryset
        last = Log.objects.filter(job=OuterRef("pk"), fence=OuterRef("fence"))
        return queryset.filter(Exists(last.filter(status=outcome)))


class AppFilter(admin.SimpleListFilter):
    """Which app the job's function is in."""

    title = _("app")
    parameter_name = "app"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the apps that have jobs."""
        every = Job.objects.order_by().values_list("function", flat=True).distinct()
        found = {config.label: config for function in every if (config := _app_of(function))}
        return sorted(((label, config.verbose_name) for label, config in found.items()), key=lambda pair: str(pair[1]))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs of that app, without those of apps inside its package."""
        config = apps.app_configs.get(self.value() or "")
        if config is None:
            return queryset
        within = [other for other in apps.get_app_configs() if other.name.startswith(f"{config.name}.")]
        others = Q(pk__in=[])
        for other in within:
            others |= Q(function__startswith=f"{other.name}.")
        return queryset.filter(Q(function__startswith=f"{config.name}.") & ~others)


def _app_of(function: str) -> AppConfig | None:
    """Return the app whose package holds the function; the innermost of several."""
    holding = [config for config in apps.get_app_configs() if function.startswith(f"{config.name}.")]
    return max(holding, key=lambda config: len(config.name), default=None)


class SourceFilter(admin.SimpleListFilter):
    """Who says what the job is: code, or a person."""

    title = _("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer both."""
        return [("code", _("code")), ("admin", _("admin"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs from there."""
        source = self.value()
        return queryset.filter(declared_as__isnull=source == "admin") if source in ("code", "admin") else queryset


class JobFilter(admin.SimpleListFilter):
    """Whose logs."""

    title = _("job")
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the first jobs by name, and the one that was asked for."""
        first = [*Job.objects.order_by("name", "id").values_list("pk", "name")[:JOBS]]
        chosen = request.GET.get(self.parameter_name, "")
        if _is_key(chosen) and int(chosen) not in dict(first):
            first += Job.objects.filter(pk=int(chosen)).values_list("pk", "name")[:1]
        return [(str(pk), name) for pk, name in first]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Log]) -> QuerySet[Log]:
        """Return that job's logs."""
        job = self.value() or ""
        return queryset.filter(job_id=int(job)) if _is_key(job) else queryset


class NodeFilter(admin.SimpleListFilter):
    """On which node."""

    title = _("node")
    parameter_name = "node"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the nodes that wrote the newest logs, and the one that was asked for."""
        newest = {*Log.objects.order_by("-id").values_list("node", flat=True)[:LOGS]}
        chosen = request.GET.get(self.parameter_name, "")
        return [(node, node) for node in sorted(newest | ({chosen} - {""}))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Log]) -> QuerySet[Log]:
        """Return that node's logs."""
        return queryset.filter(node=self.value()) if self.value() else queryset


def _is_key(text: str) -> bool:
    """Whether the text can be a row's key: whole, and no larger than what databases take."""
    return text.isascii() and text.isdecimal() and int(text[:20]) < 2**63
