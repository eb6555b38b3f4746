"""How are logs read?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronkite.admin import filters, health, marks, paging, shown
from cronkite.models import Log

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    LogAdminBase = admin.ModelAdmin[Log]
else:
    LogAdminBase = admin.ModelAdmin


class LogChangeList(ChangeList):
    """The list of logs, which leaves the long texts in the database."""

    @property
    def most(self) -> int:
        """How many logs there are pages for."""
        return paging.MOST

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the logs of the list."""
        return super().get_queryset(*args, **kwargs).defer("output", "exc_info", "result", "reason")


@admin.register(Log)
class LogAdmin(LogAdminBase):
    """Logs can be read. They are a record: nobody adds, changes or deletes them here."""

    list_display = ["job_name", "outcome", "slot_at", "late", "start", "duration", "node"]
    list_filter = [
        "status",
        filters.JobFilter,
        filters.NodeFilter,
        ("created", admin.DateFieldListFilter),
    ]
    search_fields = ["job_name", "function", "node"]
    # Newest first, by the key; any other order would have the database sort millions.
    sortable_by = ()
    show_full_result_count = False
    paginator = paging.ShortPaginator
    list_max_show_all = 0
    show_facets = admin.ShowFacets.NEVER
    fieldsets = [
        (None, {"fields": [("job", "job_name"), "function", ("outcome", "slot_at", "late"), "reason", "missed"]}),
        (_("Run"), {"fields": [("node", "fence"), ("recorded", "start"), ("end", "duration")]}),
        (_("What came of it"), {"fields": ["traceback", "output_text", "result_text"]}),
    ]

    recorded = shown.moment_column("created", _("created"))
    start = shown.moment_column("started_at", _("started at"))
    end = shown.moment_column("finished_at", _("finished at"))
    output_text = shown.text_field("output", _("output"))
    traceback = shown.text_field("exc_info", _("traceback"))

    class Media:
        css = {"all": ["cronkite/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list's class."""
        return LogChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, with the strip on top."""
        return super().changelist_view(request, {**_strip(request), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a log, with the strip on top."""
        return super().changeform_view(request, object_id, form_url, {**_strip(request), **(extra_context or {})})

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
        """Return how the run ended, and how many slots were missed before it."""
        if not log.missed:
            return marks.outcome(log.status)
        missed = log.missed + (log.status == Log.Status.MISSED)
        return format_html("{} {}", marks.outcome(log.status), gettext("(%(count)d missed)") % {"count": missed})

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

    @admin.display(description=_("result"))
    def result_text(self, log: Log) -> SafeString | str:
        """Return the result as JSON."""
        if log.result is None:
            return shown.NOTHING
        return shown.verbatim(json.dumps(log.result, indent=2, ensure_ascii=False), _("result"))


def _strip(request: HttpRequest) -> dict[str, Any]:
    """Return the strip on top, for who may see jobs, too."""
    return {"cronkite_health": health.report() if request.user.has_perm("cronkite.view_job") else None}
