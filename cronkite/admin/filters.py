"""By what can lists of jobs and of logs be narrowed?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from cronkite.admin import addresses, orders, rights, states
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.reports import vitals
from cronkite.reports.limits import USUAL

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList
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

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether there is such a state."""
        return value in states.NAMES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs in that state."""
        state = self.value()
        return queryset.filter(states.having(state)) if state in states.NAMES else queryset


class OutcomeFilter(admin.SimpleListFilter):
    """How the job's last run ended."""

    title = _("last outcome")
    parameter_name = "outcome"
    #: What the strip on top tells of, too, and finds by more than the last run.
    troubles: ClassVar[dict[str, _StrOrPromise]] = {
        "failing": _("failing since its last success"),
        "missed-lately": _("slots missed in the last 24 hours"),
    }

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer what a run can come to, to who may see logs."""
        if not request.user.has_perm("cronkite.view_log"):
            return []
        outcomes = [(value, label) for value, label in Log.Status.choices if value != Log.Status.MISSED]
        return [*outcomes, ("none", _("no run yet")), *self.troubles.items()]

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether a run can come to it."""
        return value in {*Log.Status.values, "none", *OutcomeFilter.troubles}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs whose last claim ended so."""
        # Typed into the address, it would tell as much.
        outcome = self.value() if request.user.has_perm("cronkite.view_log") else None
        if outcome == "none":
            return queryset.filter(fence=0)
        if outcome in self.troubles:
            using = queryset.db
            if outcome == "failing":
                return queryset.filter(pk__in=[job.id for job in vitals.failing(using)])
            missed = vitals.missed(using, clock.now(using), USUAL.brief)
            return queryset.filter(pk__in=[job.id for job in missed if job.id and job.count > job.brief])
        if outcome not in Log.Status.values:
            return queryset
        return queryset.filter(Exists(orders.last_claim().filter(status=outcome)))


class AppFilter(admin.SimpleListFilter):
    """Which app the job's function is in."""

    title = _("app")
    parameter_name = "app"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the apps that have jobs."""
        every = {function for function, _group in _said(request)}
        found = {config.label: config for function in every if (config := _app_of(function))}
        return sorted(((label, config.verbose_name) for label, config in found.items()), key=lambda pair: str(pair[1]))

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether the project has such an app."""
        return value in apps.app_configs

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


def _said(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the functions and groups that jobs name; two filters ask for them, by one query."""
    said: list[tuple[str, str]] | None = getattr(request, "_cronkite_said", None)
    if said is None:
        said = list(Job.objects.order_by().values_list("function", "group").distinct())
        request._cronkite_said = said  # type: ignore[attr-defined]  # noqa: SLF001 - by our own name
    return said


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

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether it is one of both."""
        return value in {"code", "admin"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs from there."""
        source = self.value()
        return queryset.filter(declared_as__isnull=source == "admin") if source in ("code", "admin") else queryset


class GroupFilter(admin.SimpleListFilter):
    """Which group the job is in."""

    title = _("group")
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the groups that jobs name; most projects have none."""
        named = sorted({group for _function, group in _said(request)} - {""})
        return [(group, group) for group in named[:JOBS]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs of that group."""
        return queryset.filter(group=self.value()) if self.value() else queryset


class JobFilter(admin.SimpleListFilter):
    """Whose logs."""

    title = _("job")
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer the first jobs by name, and the one that was asked for; to who may see logs alone, what they name."""
        jobs = Job.objects.order_by("name", "id").values_list("pk", "name")
        if not rights.may_view_jobs(request.user):
            jobs = jobs.filter(Exists(Log.objects.filter(job=OuterRef("pk"))))
        first = [*jobs[:JOBS]]
        chosen = request.GET.get(self.parameter_name, "")
        if addresses.is_key(chosen) and int(chosen) not in dict(first):
            first += jobs.filter(pk=int(chosen))[:1]
        return [(str(pk), name) for pk, name in first]

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether it can be a job's key."""
        return addresses.is_key(value)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Log]) -> QuerySet[Log]:
        """Return that job's logs."""
        job = self.value() or ""
        return queryset.filter(job_id=int(job)) if addresses.is_key(job) else queryset


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


class WhenFilter(admin.ListFilter):
    """When the log was written: of late, or from one instant to another, on the clock of the active zone."""

    title = _("time")
    template = "admin/cronkite/log/when.html"
    START, END, LAST = "created__gte", "created__lt", "created__lte"
    parameters = ("when", START, END, LAST)
    #: Themes ask each filter for this name, as if it had but one.
    parameter_name = "when"
    #: What can be chosen by a click; the values are of the parameter ``when``.
    SPANS: ClassVar[dict[str, _StrOrPromise]] = {
        "hour": _("last hour"),
        "today": pgettext_lazy("of logs", "today"),
        "week": _("last 7 days"),
    }

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Log], model_admin: admin.ModelAdmin[Any]
    ) -> None:
        """Take what is ours of ``params``, as Django's filters do."""
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            if name in params and (value := params.pop(name)[-1]):
                self.used_parameters[name] = value
        self.kept = [(name, value) for name, value in request.GET.items() if name not in {*self.parameters, PAGE_VAR}]

    @staticmethod
    def takes(name: str, value: str) -> bool:
        """Whether there is such a span, or such an instant."""
        return value in WhenFilter.SPANS if name == "when" else addresses.moment(value) is not None

    def has_output(self) -> bool:
        """Offer it always."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """Return the names of the parameters."""
        return [*self.parameters]

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        """Offer the spans; the template adds the two instants."""
        chosen = self.used_parameters.get("when", "")
        for value, label in {"": _("any time"), **self.SPANS}.items():
            yield {
                "selected": chosen == value and (bool(value) or not self.used_parameters),
                "query_string": changelist.get_query_string({"when": value or None}, ["created__"]),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Log]) -> QuerySet[Log]:
        """Return the logs that were written then."""
        when = self.used_parameters.get("when")
        if when == "hour":
            queryset = queryset.filter(created__gte=clock.Now() - timedelta(hours=1))
        elif when == "week":
            queryset = queryset.filter(created__gte=clock.Now() - timedelta(days=7))
        elif when == "today":
            now = timezone.localtime(clock.now(queryset.db))
            queryset = queryset.filter(created__gte=now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))
        asked = {name: addresses.moment(str(self.used_parameters.get(name, ""))) for name in self.parameters[1:]}
        return queryset.filter(**{name: moment for name, moment in asked.items() if moment is not None})

    @property
    def start(self) -> str:
        """Since when, as the page's form has it."""
        return self._typed(self.START)

    @property
    def end(self) -> str:
        """Until when, alike."""
        return self._typed(self.END) or self._typed(self.LAST)

    @property
    def zone(self) -> str:
        """Whose clock it is."""
        return timezone.get_current_timezone_name()

    def _typed(self, name: str) -> str:
        moment = addresses.moment(str(self.used_parameters.get(name, "")))
        return f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}" if moment else ""


def by_index(request: HttpRequest, model_admin: admin.ModelAdmin[Any], logs: QuerySet[Log]) -> QuerySet[Log]:
    """Return those of the logs that are of the job and the time that a list of logs is narrowed to."""
    job = request.GET.get(JobFilter.parameter_name, "")
    if addresses.is_key(job):
        logs = logs.filter(job_id=int(job))
    return WhenFilter(request, dict(request.GET.lists()), Log, model_admin).queryset(request, logs)
