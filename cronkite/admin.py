"""How do people enter jobs and read logs? In Django's admin."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cronkite import functions, locks
from cronkite.exceptions import FunctionError
from cronkite.models import Job, Log

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from django.utils.safestring import SafeString

    JobAdminBase = admin.ModelAdmin[Job]
    LogAdminBase = admin.ModelAdmin[Log]
    JobFormBase = forms.ModelForm[Job]
else:
    JobAdminBase = LogAdminBase = admin.ModelAdmin
    JobFormBase = forms.ModelForm

#: What stands where there is nothing, as elsewhere in the admin.
NOTHING = "-"
#: Shorter runs are told in seconds and hundredths.
MINUTE = 60
#: How many jobs a message names one by one.
NAMED = 10


def moment(column: str, label: _StrOrPromise) -> Callable[[Any, Model], SafeString | str]:
    """Make a column of an instant, to the second and with the zone's name: Django's own way leaves out both."""

    @admin.display(description=label, ordering=column)
    def show(_: Any, record: Model) -> SafeString | str:
        instant = getattr(record, column)
        return as_text(instant) if instant else NOTHING

    return show


def as_text(instant: datetime) -> SafeString:
    """Return an instant to the second; a line may end before the time, but not within the date."""
    local = timezone.localtime(instant)
    return format_html(
        '<span class="nowrap">{}</span> <span class="nowrap">{}</span>', f"{local:%Y-%m-%d}", f"{local:%H:%M:%S %Z}"
    )


def text(column: str, label: _StrOrPromise) -> Callable[[Any, Model], SafeString | str]:
    """Make a field of a text that is shown as it is, line by line."""

    @admin.display(description=label)
    def show(_: Any, record: Model) -> SafeString | str:
        value = getattr(record, column)
        return format_html('<pre class="cronkite-text">{}</pre>', value) if value else NOTHING

    return show


class JSONText(forms.JSONField):
    """A JSON value, typed in; one error for all that Python's parser can say."""

    def to_python(self, value: Any) -> Any:
        """Return the value. Nothing may stand for the default."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError):
            # Brackets nested too deep; a number of thousands of digits.
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed in, to be shown again just so beside the error."""
        return initial if self.disabled else InvalidJSONInput(data or "")


class JobForm(JobFormBase):
    """A job as a person enters it. What can be wrong is said by :meth:`Job.clean_fields`."""

    class Meta:
        model = Job
        fields = "__all__"
        field_classes = {"args": JSONText, "kwargs": JSONText}
        error_messages = {
            "args": {"invalid": _('This is not JSON. Write a list, as in ["a", 1].')},
            "kwargs": {"invalid": _('This is not JSON. Write an object, as in {"a": 1}.')},
        }
        widgets = {
            "args": AdminTextareaWidget(attrs={"rows": 2}),
            "kwargs": AdminTextareaWidget(attrs={"rows": 2}),
            "description": AdminTextareaWidget(attrs={"rows": 3}),
        }

    def clean_args(self) -> Any:
        """Take an empty field for no arguments."""
        return [] if self.cleaned_data["args"] is None else self.cleaned_data["args"]

    def clean_kwargs(self) -> Any:
        """Take an empty field for no arguments."""
        return {} if self.cleaned_data["kwargs"] is None else self.cleaned_data["kwargs"]


class LockedFilter(admin.SimpleListFilter):
    """Whether a run holds the job's lock, or a dead one still does."""

    title = _("locked")
    parameter_name = "locked"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, _StrOrPromise]]:
        """Offer both."""
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the chosen jobs."""
        return queryset if self.value() not in ("0", "1") else queryset.filter(lock__isnull=self.value() == "0")


@admin.register(Job)
class JobAdmin(JobAdminBase):
    """Jobs can be entered, edited, deleted and unlocked. What the nodes keep is only shown."""

    form = JobForm
    list_display = ["name", "function", "schedule", "next_run_at", "enabled", "holder"]
    list_filter = ["enabled", LockedFilter]
    search_fields = ["name", "function", "description"]
    show_full_result_textcount = False
    readonly_fields = ["source", "next_run_at", "last_slot_at", "fence", "locked_by", "last_sign"]
    actions = ["unlock"]
    definition = [
        (None, {"fields": ["name", "description", "enabled"]}),
        (_("What to run"), {"fields": ["function", "args", "kwargs", "timeout"]}),
        (_("When to run it"), {"fields": ["schedule", "timezone", "catch_up", "grace"]}),
    ]
    state = (_("State"), {"fields": readonly_fields, "description": _("Kept by the nodes.")})

    next_run_at = moment("next_run", _("next run"))
    last_slot_at = moment("last_slot", _("last slot"))
    last_sign = moment("locked_at", _("locked at"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs, each with the database's clock."""
        return Job.objects.with_now()

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """Show the state of a job that there is."""
        return self.definition if obj is None else [*self.definition, self.state]

    @admin.display(description=_("source"))
    def source(self, job: Job) -> str:
        """Say who says what the job is."""
        return gettext("code: a module declares it") if job.declared_as else gettext("admin: it was entered by hand")

    @admin.display(description=_("locked by"), ordering="locked_by")
    def holder(self, job: Job) -> str:
        """Name the node whose run holds the lock, and how long ago it was seen alive."""
        if job.locked_at is None:
            return NOTHING
        age = timesince(job.locked_at, job.now, depth=1)
        return gettext("%(node)s, %(age)s ago") % {"node": job.locked_by, "age": age}

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """Save, and tell if the job can't be run here: its function may have gone since it was entered."""
        super().save_model(request, obj, form, change)
        try:
            functions.resolve(obj.function)
        except FunctionError as error:
            messages.warning(request, str(error))

    @admin.action(description=_("Unlock selected jobs"), permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Clear locks: without ``CRONKITE_LOCK_TIMEOUT`` only a person can, who knows that the run is gone."""
        jobs = list(queryset)
        user = request.user.get_username()
        unlocked = [job for job in jobs if job.is_locked and locks.unlock(job, by=user)]
        for job in unlocked:
            self.log_change(request, job, gettext("Unlocked. The lock was held by %(node)s.") % {"node": job.locked_by})
        if unlocked:
            said = ngettext(
                "%(count)d job was unlocked: %(names)s. Its run is recorded as lost, and is ended if it still goes on.",
                "%(count)d jobs were unlocked: %(names)s. Their runs are recorded as lost, and are ended if they still "
                "go on.",
                len(unlocked),
            )
            messages.success(request, said % {"count": len(unlocked), "names": names(unlocked)})
        if free := len(jobs) - len(unlocked):
            said = ngettext("%(count)d job was not locked.", "%(count)d jobs were not locked.", free)
            messages.info(request, said % {"count": free})


def names(jobs: list[Job]) -> str:
    """Name the jobs, but no endless list of them."""
    named = [job.name for job in jobs[:NAMED]]
    return ", ".join(named if len(jobs) <= NAMED else [*named, "…"])


class LogChangeList(ChangeList):
    """The list of logs, which leaves the long texts in the database."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the logs of the list."""
        return super().get_queryset(*args, **kwargs).defer("output", "exc_info", "result", "reason")


@admin.register(Log)
class LogAdmin(LogAdminBase):
    """Logs can be read. They are a record: nobody adds, changes or deletes them here."""

    list_display = ["job_name", "slot_at", "status", "node", "start", "duration"]
    list_filter = ["status", "created"]
    search_fields = ["job_name", "function", "node"]
    show_full_result_textcount = False
    fieldsets = [
        (None, {"fields": [("job", "job_name"), "function", ("slot_at", "status"), "reason", "missed"]}),
        (_("Run"), {"fields": [("node", "fence"), ("recorded", "start"), ("end", "duration")]}),
        (_("What came of it"), {"fields": ["result_text", "output_text", "traceback"]}),
    ]

    recorded = moment("created", _("created"))
    start = moment("started_at", _("started at"))
    end = moment("finished_at", _("finished at"))
    output_text = text("output", _("output"))
    traceback = text("exc_info", _("traceback"))

    class Media:
        css = {"all": ["cronkite/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list's class."""
        return LogChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Log | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Log | None = None) -> bool:
        """Refuse."""
        return False

    @admin.display(description=_("slot"), ordering="slot")
    def slot_at(self, log: Log) -> str:
        """Return the slot's instant, if the run was not asked for by hand."""
        return gettext("by hand") if log.slot is None else as_text(log.slot)

    @admin.display(description=_("duration"))
    def duration(self, log: Log) -> str:
        """Return how long the run took."""
        if log.started_at is None or log.finished_at is None:
            return NOTHING
        seconds = (log.finished_at - log.started_at).total_seconds()
        if seconds < MINUTE:
            return gettext("%(seconds)s s") % {"seconds": number_format(seconds, 2)}
        return str(timedelta(seconds=round(seconds)))

    @admin.display(description=_("result"))
    def result_text(self, log: Log) -> SafeString | str:
        """Return the result as JSON."""
        if log.result is None:
            return NOTHING
        return format_html('<pre class="cronkite-text">{}</pre>', json.dumps(log.result, indent=2, ensure_ascii=False))
