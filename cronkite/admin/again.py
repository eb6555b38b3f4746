"""How is a run asked for with arguments of its own: those of a log again, or others?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronkite import requests
from cronkite.admin import decisive, rights, said, urls
from cronkite.admin.forms import NO_JSON, JSONText
from cronkite.code import commands
from cronkite.models import Job, Log, validation

if TYPE_CHECKING:
    from django.contrib import admin


class CallForm(forms.Form):
    """The arguments of one run, judged as those of the job are."""

    args = JSONText(
        label=_("arguments"),
        required=False,
        help_text=_("A JSON list."),
        widget=AdminTextareaWidget({"rows": 4}),
        error_messages=NO_JSON["args"],
    )
    kwargs = JSONText(
        label=_("keyword arguments"),
        required=False,
        help_text=_("A JSON object."),
        widget=AdminTextareaWidget({"rows": 4}),
        error_messages=NO_JSON["kwargs"],
    )

    def __init__(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """Make the form for a run of ``job``."""
        super().__init__(*args, **kwargs)
        self.job = job

    def clean(self) -> dict[str, Any]:
        """Take an empty field for no arguments, and judge them."""
        cleaned: dict[str, Any] = super().clean() or {}
        judged = Job(function=self.job.function, schedule=self.job.schedule, timezone=self.job.timezone)
        judged.pk = self.job.pk
        for name, nothing in (("args", []), ("kwargs", {})):
            if name in cleaned:
                cleaned[name] = nothing if cleaned[name] is None else cleaned[name]
                setattr(judged, name, cleaned[name])
        if not self.errors and commands.callee(judged.function, judged.args) != self.job.callee:
            said = _("The command stays what it is, %(command)s: write it first, as in the job's own arguments.")
            self.add_error("args", ValidationError(said, params={"command": commands.of(self.job.callee)}))
        if not self.errors:
            for name, problem in validation.problems(judged, {"args", "kwargs", "function"}).items():
                # A function that is missing here is the business of the node that takes the request, as the page says.
                if name in self.fields:
                    self.add_error(name, problem)
        return cleaned


def show(model_admin: admin.ModelAdmin[Any], request: HttpRequest, job: Job, log: Log | None = None) -> HttpResponse:
    """Ask for the arguments, and then for the run; whoever calls this has seen to permissions.

    ``job`` comes with the database's clock in ``now``. The arguments of ``log``, if it has all of them, come first.
    """
    has_those = log is not None and log.has_arguments
    initial = (
        {"args": log.args, "kwargs": log.kwargs} if log and has_those else {"args": job.args, "kwargs": job.kwargs}
    )
    form = CallForm(job, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        return _ask(model_admin, request, job, form.cleaned_data)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Run again?") if log else gettext("Run once with other arguments?"),
        "subtitle": job.name,
        "opts": model_admin.opts,
        "media": model_admin.media + form.media,
        "form": form,
        "job": job,
        "log": log,
        "has_those": has_those,
        "facts": decisive.look("run", [job]).lines[0].facts,
        "function_then": log.what if log and _called_another(log, job) else "",
        "may_view_job": rights.may_view_jobs(request.user),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/cronkite/job/again.html", context)


def _called_another(log: Log, job: Job) -> bool:
    """Whether the run called another function than the job does now, or another command, as far as that is known."""
    return log.callee != job.callee if log.has_arguments else log.function != job.function


def _ask(model_admin: admin.ModelAdmin[Any], request: HttpRequest, job: Job, call: dict[str, Any]) -> HttpResponse:
    user = request.user.get_username()
    args, kwargs = call["args"], call["kwargs"]
    if (args, kwargs) == (job.args, job.kwargs):
        is_asked = requests.ask(job, user)
    else:
        is_asked = requests.ask_with(job, user, args, kwargs)
    if is_asked:
        model_admin.log_change(request, job, "Asked for a run now.")
    said.of_requests(request, *(([job], []) if is_asked else ([], [job])))
    return HttpResponseRedirect(urls.url(model_admin.admin_site.name, "job_change", job.pk))
