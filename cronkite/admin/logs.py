"""How are logs read?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cronkite.admin import addresses, again, cards, filters, health, marks, paging, problems, record, shown, stretches
from cronkite.models import Job, Log
from cronkite.runs import onlookers

if TYPE_CHECKING:
    from django.urls import URLPattern
    from django.utils.safestring import SafeString

    LogAdminBase = admin.ModelAdmin[Log]
else:
    LogAdminBase = admin.ModelAdmin


class LogChangeList(addresses.SoundChangeList):
    """The list of logs, which leaves the long texts in the database."""

    @property
    def most(self) -> int:
        """How many logs there are pages for."""
        return paging.MOST

    @property
    def searched(self) -> str:
        """Say what a search has looked at; nothing where there was none."""
        if not self.query:
            return ""
        # Not by the box: axe-core takes a help text for its only label, as Django's own is a picture.
        said = gettext(
            "Searched: job, function, node, traceback, reason; the newest %(count)s of the job and time chosen."
        )
        return said % {"count": number_format(paging.SEARCHED, force_grouping=True)}

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the logs of the list."""
        logs = super().get_queryset(*args, **kwargs)
        return problems.with_ends(logs.defer(*Log.TEXTS, "reason"))

    def get_results(self, request: HttpRequest) -> None:
        """Find the logs of the page."""
        super().get_results(request)
        # Or the page would offer to show all, which there is no way to.
        self.full_result_count = self.result_count


@admin.register(Log)
class LogAdmin(health.StripOnTop, addresses.SoundAddresses, LogAdminBase):
    """Logs can be read. They are a record: nobody adds, changes or deletes them here."""

    list_display = ["job_name", "outcome", "slot_at", "late", "start", "duration", "node"]
    alike = ("slot_at", "late", "start", "duration")
    list_filter = ["status", filters.WhenFilter, filters.JobFilter, filters.NodeFilter]
    search_fields = ["job_name", "function", "node", "exc_info", "reason"]
    # Newest first, by the key; any other order would have the database sort millions.
    sortable_by = ()
    show_full_result_count = False
    paginator = paging.ShortPaginator
    list_max_show_all = 0
    show_facets = admin.ShowFacets.NEVER

    recorded = shown.moment_column("created", _("created"))
    start = shown.moment_column("started_at", _("started at"))
    end = shown.moment_column("finished_at", _("finished at"))

    class Media:
        css = {"all": ["cronkite/admin.css", "cronkite/widths.css", "cronkite/log.css"]}
        js = ["cronkite/copy.js"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns; those that are alike say what they are, where a row is a card."""
        return [cards.labelled(name, getattr(self, name)) if name in self.alike else name for name in self.list_display]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LogChangeList]:
        """Return the list's class."""
        return LogChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Log], search_term: str
    ) -> tuple[QuerySet[Log], bool]:
        """Search the newest logs of the list, so that it takes no longer the more there are."""
        if search_term.strip():
            # Of what has an index alone: to find 20,000 lost ones, the database would go through all logs.
            queryset = paging.newest(queryset, filters.by_index(request, self, Log.objects.all()))
        return super().get_search_results(request, queryset, search_term)

    def get_fieldsets(self, request: HttpRequest, obj: Log | None = None) -> Any:
        """Return what there is to say of the log."""
        return record.fieldsets(obj) if obj is not None else []

    def render_change_form(  # noqa: PLR0913, PLR0917 - Django's own
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Log | None = None,
    ) -> HttpResponse:
        """Add where the page leads."""
        if obj is not None:
            onlookers.look(obj)
            context["subtitle"] = record.title(obj)
            context["cronkite_links"] = list(record.links(request, obj, self.admin_site.name))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks for the run again."""
        again_ = path("<path:object_id>/again/", self.admin_site.admin_view(self.again_view), name="cronkite_log_again")
        return [again_, *super().get_urls()]

    def again_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a run of the log's job with the log's arguments, or others."""
        if not (self.has_view_permission(request) and record.may_run(request)):
            raise PermissionDenied
        log = self.get_object(request, unquote(object_id))
        job = Job.objects.with_now().filter(pk=log.job_id).first() if log and log.job_id else None
        if job is None:
            raise Http404(gettext("There is no such log, or its job is gone."))
        return again.show(self, request, job, log)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Log | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Log | None = None) -> bool:
        """Refuse."""
        return False

    @admin.display(description=_("status"))
    def outcome(self, log: Log) -> SafeString:
        """Return how the run ended, and in a line what went wrong; for the list, which knows the ends of the texts."""
        said = problems.line(log.status, log.tail, log.head)  # type: ignore[attr-defined]  # of problems.with_ends()
        return format_html('{}<div class="cronkite-problem-line">{}</div>', self.ended(log), said)

    @admin.display(description=_("status"))
    def ended(self, log: Log) -> SafeString:
        """Return how the run ended, and how many slots were missed before it, or with this one."""
        if not log.missed:
            return marks.outcome(log.status)
        count = stretches.total(log)
        words = gettext("(%(count)d missed)")
        if log.status == Log.Status.MISSED:
            words = ngettext("(%(count)d slot)", "(%(count)d slots)", count)
        return format_html("{} {}", marks.outcome(log.status), words % {"count": count})

    @admin.display(description=_("missed"))
    def missed_slots(self, log: Log) -> str:
        """Return how many slots were missed, and since when."""
        return stretches.describe(log)

    @admin.display(description=_("slot"))
    def slot_at(self, log: Log) -> str:
        """Return the slot's instant, if the run was not asked for by hand."""
        return gettext("by hand") if log.slot is None else shown.instant(log.slot)

    @admin.display(description=_("late by"))
    def late(self, log: Log) -> str:
        """Return how long after its slot the run began."""
        if log.slot is None or log.started_at is None:
            return shown.NOTHING
        return shown.precise(log.started_at - log.slot)

    @admin.display(description=_("duration"))
    def duration(self, log: Log) -> str:
        """Return how long the run took."""
        if log.started_at is None or log.finished_at is None:
            return shown.NOTHING
        return shown.precise(log.finished_at - log.started_at)

    @admin.display(description=_("command"))
    def command(self, log: Log) -> str:
        """Return the management command."""
        return log.what

    @admin.display(description=_("engine"))
    def engine_used(self, log: Log) -> str:
        """Return the engine that it was handed over to."""
        return record.engine(log)

    @admin.display(description=_("what went wrong"))
    def problem(self, log: Log) -> SafeString:
        """Return the exception's own line."""
        return record.problem(log)

    @admin.display(description=_("reason"))
    def why(self, log: Log) -> str:
        """Return the reason."""
        return record.reason(log)

    @admin.display(description=_("output"))
    def output_text(self, log: Log) -> SafeString:
        """Return the output."""
        return record.output(log)

    @admin.display(description=_("traceback"))
    def traceback(self, log: Log) -> SafeString:
        """Return the traceback."""
        return record.text(log.exc_info, _("traceback"), "cronkite-traceback")

    @admin.display(description=_("result"))
    def result_text(self, log: Log) -> SafeString:
        """Return the result as JSON."""
        return record.value(log.result, _("result"), "cronkite-result")

    @admin.display(description=_("arguments"))
    def arguments(self, log: Log) -> SafeString:
        """Return the arguments that it ran with."""
        return record.value(log.args, _("arguments"), "cronkite-args")

    @admin.display(description=_("keyword arguments"))
    def keyword_arguments(self, log: Log) -> SafeString:
        """Return the keyword arguments, alike."""
        return record.value(log.kwargs, _("keyword arguments"), "cronkite-kwargs")
