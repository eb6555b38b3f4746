"""How are jobs listed, entered and edited?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from cronkite.admin import (
    addresses,
    again,
    coming,
    decisive,
    declared,
    filters,
    health,
    lacking,
    lately,
    marks,
    orders,
    shown,
    signatures,
    states,
    strips,
    typed,
    urls,
)
from cronkite.admin.actions import JobActions
from cronkite.admin.forms import ACTION, JobForm
from cronkite.admin.lists import JobChangeList
from cronkite.admin.timeline import view as timeline
from cronkite.code import commands, pings
from cronkite.database import clock
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.reports import hindrances
from cronkite.schedules import chosen
from cronkite.schedules.words import describe

if TYPE_CHECKING:
    from django.urls import URLPattern


#: Between the parts of a dotted name: where it is long, a line may end there.
DOT = mark_safe(".<wbr>")


@admin.register(Job)
class JobAdmin(lacking.TellsWhatIsLacking, health.StripOnTop, addresses.SoundAddresses, JobActions):
    """Jobs can be entered, edited, deleted and acted on. What the nodes keep is only shown."""

    form = JobForm
    list_display = ["name", "when", "state", "next", "last"]
    list_filter = [
        filters.OrderFilter,
        filters.StateFilter,
        filters.OutcomeFilter,
        filters.AppFilter,
        filters.GroupFilter,
        filters.SourceFilter,
    ]
    # Of a management command, the arguments say which it is.
    search_fields = ["name", "function", "args", "description"]
    show_full_result_count = False
    list_max_show_all = 100
    kept = ["source", "next_run_at", "last_slot_at", "fence", "locked_by", "last_sign"]
    readonly_fields = [*kept, "state_now", "takes", "ahead", "overridden", "lately", "masked_ping"]
    definition = [
        (None, {"fields": ["name", "description", "enabled"]}),
        (_("What to run"), {"fields": ["function", "takes", "args", "kwargs", "timeout"]}),
        (_("When to run it"), {"fields": ["schedule", "timezone", "ahead", "catch_up", "grace", "jitter", "group"]}),
        (
            _("If it fails"),
            {"fields": ["retries", "retry_delay", "retry_until", "on_lost", "alert"], "classes": ["collapse"]},
        ),
        # Most jobs are functions, and never handed over.
        (
            _("Who runs it"),
            {"fields": ["labels", "run_mode", "backend", "queue", "priority", "overlap"], "classes": ["collapse"]},
        ),
    ]
    told = (_("Who is told"), {"fields": ["ping"], "classes": ["collapse"]})
    told_masked = (_("Who is told"), {"fields": ["masked_ping"], "classes": ["collapse"]})
    past = (_("Last runs"), {"fields": ["lately"]})
    declaration = (_("What code declares"), {"fields": ["overridden"]})
    kept_by_nodes = (_("State"), {"fields": kept, "description": _("Kept by the nodes.")})

    next_run_at = shown.moment_column("next_run", _("next run"))
    last_slot_at = shown.moment_column("last_slot", _("last slot"))
    last_sign = shown.moment_column("locked_at", _("locked at"))

    class Media:
        css = {"all": ["cronkite/admin.css", "cronkite/widths.css"]}
        js = ["cronkite/preview.js"]

    # The list.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs, each with the database's clock."""
        return Job.objects.with_now()

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Return the order by name, or the one that was asked for."""
        return orders.by(request.GET.get("order", ""), outcomes=request.user.has_perm("cronkite.view_log"))

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        """Return the columns by which a person may order: when runs were is for who may see logs."""
        may = request.user.has_perm("cronkite.view_log")
        return [column for column in self.list_display if may or column != "last"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobChangeList]:
        """Return the list's class."""
        return JobChangeList

    @admin.display(description=_("ping"))
    def masked_ping(self, job: Job) -> str:
        """Return the host that is told of its runs."""
        return pings.masked(job.ping)

    @admin.display(description=_("what and when"))
    def when(self, job: Job) -> SafeString:
        """Return the function, the schedule, and what that says in words."""
        try:
            words = describe(job.schedule, job.seed)
        except ScheduleError as error:
            words = str(error)
        zone = format_html(' <span class="quiet">{}</span>', job.timezone) if job.timezone else ""
        function = format_html_join(DOT, "{}", ((part,) for part in job.what.split(".")))
        return format_html(
            '<div class="cronkite-function">{}</div><code>{}</code>{}<div class="cronkite-words">{}</div>',
            function,
            chosen.spell(job.schedule, job.seed),
            zone,
            words,
        )

    @admin.display(description=_("next run"), ordering="next_run")
    def next(self, job: Job) -> SafeString | str:
        """Return the next slot on the clock of the job's zone, and how far away it is."""
        if job.next_run is None:
            return shown.NOTHING
        away = shown.away(job.next_run, job.now)
        if job.next_run <= job.now:
            away = gettext("due, %(away)s") % {"away": away}
        return format_html('{}<div class="quiet">{}</div>', shown.instant(job.next_run, shown.zone_of(job)), away)

    @admin.display(description=_("last runs"), ordering="fence")
    def last(self, job: Any) -> SafeString | str:
        """Return how the last run ended, with a link to its log, and the last outcomes, with one to all logs."""
        if not job.strip or not job.strip.logs:
            return shown.NOTHING
        lines = []
        if run := job.strip.last_run:
            url = urls.url(self.admin_site.name, "log_change", run.pk)
            ago = shown.away(run.finished_at or run.started_at or run.created, job.now)
            outcome = marks.outcome(run.status)
            lines.append(format_html('<a href="{}">{}</a> <span class="quiet">{}</span>', url, outcome, ago))
        url = urls.url(self.admin_site.name, "log_changelist", job=job.pk)
        lines.append(format_html('<a href="{}">{}</a>', url, job.strip.draw()))
        return format_html_join("", "<div>{}</div>", ((line,) for line in lines))

    @admin.display(description=_("state"), ordering="enabled")
    def state(self, job: Any) -> SafeString:
        """Return how the job stands."""
        return states.describe(job, job.strip, job.problem)

    # The form.

    def get_urls(self) -> list[URLPattern]:
        """Add the timeline, and what the form's script asks."""
        wrap = self.admin_site.admin_view
        return [
            path("timeline/", wrap(self.timeline_view), name="cronkite_job_timeline"),
            path("<path:object_id>/once/", wrap(self.once_view), name="cronkite_job_once"),
            path("preview/", wrap(self.preview_view), name="cronkite_job_preview"),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """Show the state of a job that there is, and what code declares of one that it does."""
        if obj is None:
            return [*self.definition, self.told]
        (title, first), *rest = self.definition
        # Whoever knows the URL can tell of runs that never were.
        rest.append(self.told if self.has_change_permission(request, obj) else self.told_masked)
        declared_too = [] if obj.declared_as is None else [self.declaration]
        past = [self.past] if request.user.has_perm("cronkite.view_log") else []
        return [(title, {"fields": ["state_now", *first["fields"]]}), *past, *rest, *declared_too, self.kept_by_nodes]

    # Errors are reported with what was sent. The form sends what it was shown, too.
    @method_decorator(sensitive_post_parameters("ping", "initial-ping"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form, with the actions for this one job; or do one of them."""
        if request.method == "POST" and ACTION in request.POST and object_id and (done := self.act(request, object_id)):
            return done
        return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(  # noqa: PLR0913, PLR0917 - Django's own
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Job | None = None,
    ) -> HttpResponse:
        """Add what can be done to the job."""
        if obj is not None:
            # As it is in the database: the form may hold what can't be saved.
            stored = Job.objects.get(pk=obj.pk)
            context["cronkite_actions"] = self.offered(request, stored)
        context["cronkite_may_view_logs"] = request.user.has_perm("cronkite.view_log")
        return super().render_change_form(request, context, add, change, form_url, obj)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """Add what decides whether the job is to be deleted."""
        job = Job.objects.with_now().get(pk=context["object"].pk)
        return super().render_delete_form(request, {**context, "decisive": decisive.look("delete_selected", [job])})

    @admin.display(description=_("source"))
    def source(self, job: Job) -> str:
        """Say who says what the job is."""
        return gettext("code: a module declares it") if job.declared_as else gettext("admin: it was entered by hand")

    @admin.display(description=_("state"))
    def state_now(self, job: Job) -> SafeString:
        """Return how the job stands."""
        stored = Job.objects.with_now().get(pk=job.pk)
        states.tell_room([stored])
        return states.describe(stored, self._strip(job), states.missing(stored.callee))

    @staticmethod
    def _strip(job: Any) -> strips.Strip:
        """Return the job's strip, which two fields of its page are about."""
        if not hasattr(job, "strip"):
            job.strip = strips.of([job])[job.pk]
        found: strips.Strip = job.strip
        return found

    @admin.display(description=_("last runs"))
    def lately(self, job: Job) -> SafeString:
        """Return how its runs have gone."""
        pages = [urls.url(self.admin_site.name, page, job=job.pk) for page in ("log_changelist", "job_timeline")]
        return mark_safe(lately.show(job, self._strip(job), *pages))  # noqa: S308 - of a template

    @admin.display(description=_("it takes"))
    def takes(self, job: Job) -> SafeString:
        """Return what the function takes; the form's script keeps it in step with what is typed."""
        return live("cronkite-takes", _takes(job.function, *_given(job)))

    @admin.display(description=_("coming runs"))
    def ahead(self, job: Job) -> SafeString:
        """Return what the schedule will do; the form's script keeps it in step with what is typed."""
        url = urls.url(self.admin_site.name, "job_preview")
        # What H goes by, and which command the arguments begin with, is not what is typed then.
        known = {"declared_as": job.declared_as, "command": commands.of(job.callee)}
        if asked := {name: value for name, value in known.items() if value}:
            url = f"{url}?{urlencode(asked)}"
        return live("cronkite-ahead", _ahead(job.schedule, job.timezone, job.seed), url)

    @admin.display(description=_("overridden"))
    def overridden(self, job: Job) -> SafeString | str:
        """Return what differs from what code declares."""
        return declared.show(job)

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Save the fields that were edited, and no others; tell if the job can't be run here.

        Its function, or the data of its zone, may have gone since it was entered.
        """
        if not change:
            super().save_model(request, obj, form, change)
        elif edited := [column for column in form.changed_data if column in Job.DEFINITION]:
            obj.save(update_fields=edited)
        if problem := hindrances.of(obj):
            messages.warning(request, problem)

    # The other pages.

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return, as JSON, what the form shows of a function and of a schedule: pieces of its page, and what to say."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        names = ("name", "function", "args", "kwargs", "schedule", "timezone", "declared_as", "command")
        asked = {name: request.GET.get(name, "") for name in names}
        # As the form has it, which cuts off blanks.
        seed = Job(name=asked["name"].strip(), declared_as=asked["declared_as"] or None).seed
        look = _look(asked["schedule"], asked["timezone"], seed)
        return JsonResponse(
            {
                "takes": _takes(*typed.translated(asked["function"], asked["args"], asked["command"]), asked["kwargs"]),
                "ahead": render_to_string("cronkite/coming.html", {"coming": look}) if look else "",
                "words": (look.problem or look.words) if look else "",
            }
        )

    def once_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for one run with arguments of its own."""
        if not (self.has_view_permission(request) and self.has_run_permission(request)):
            raise PermissionDenied
        job = self.get_object(request, unquote(object_id))
        if job is None:
            raise Http404(gettext("There is no such job."))
        return again.show(self, request, job)

    def timeline_view(self, request: HttpRequest) -> HttpResponse:
        """Show what ran when."""
        if not (self.has_view_permission(request) and request.user.has_perm("cronkite.view_log")):
            raise PermissionDenied
        return timeline.show(self, request)


def live(name: str, content: str, url: str = "") -> SafeString:
    """Return a piece of the page that the form's script renews."""
    silent = gettext(
        "There is no answer to what you typed, so what stands here is out of date. Is the connection there, and are "
        "you still logged in? A save checks it all the same."
    )
    piece = '<div id="{}" data-url="{}" data-silent="{}">{}</div>'
    return format_html(piece, name, url, silent if url else "", mark_safe(content))  # noqa: S308 - of templates


def _look(schedule: str, zone: str, seed: str) -> coming.Coming | None:
    return coming.look_ahead(schedule, zone, clock.now("default"), seed) if schedule.strip() else None


def _ahead(schedule: str, zone: str, seed: str) -> str:
    look = _look(schedule, zone, seed)
    return render_to_string("cronkite/coming.html", {"coming": look}) if look else ""


def _given(job: Job) -> list[str]:
    """Return the arguments of a command, which say what it is; a function is looked at without."""
    return [json.dumps(job.args), json.dumps(job.kwargs)] if commands.of(job.callee) else []


def _takes(function: str, args: str | None = None, kwargs: str | None = None) -> str:
    taken = signatures.look(function, args, kwargs) if function.strip() else None
    return render_to_string("cronkite/takes.html", {"takes": taken}) if taken else ""
