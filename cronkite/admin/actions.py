"""What can be done to jobs, one or many? Run now, enable, disable, unlock, return to what code declares, delete.

It is done from the list, to those that were chosen there, or from a job's own page, whose form then comes along: what
was edited there, and is not saved yet, is neither dropped nor acted upon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import model_ngettext, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext, pgettext
from django.utils.translation import gettext_lazy as _

from cronkite import requests
from cronkite.admin import crumbs, decisive, declared, said, selections, shown
from cronkite.admin.forms import ACTION
from cronkite.claims import holding
from cronkite.exceptions import CronkiteError
from cronkite.models import Job, primary, switches

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    JobAdminBase = admin.ModelAdmin[Job]
else:
    JobAdminBase = admin.ModelAdmin

#: In the page that asks whether to go on: the answer that it sends.
CONFIRMED = "confirmed"


class JobActions(JobAdminBase):
    """The actions, each for who has the permission for it; those that can do harm ask first."""

    actions = ["run", "withdraw", "enable", "disable", "unlock", "restore", "delete_selected"]

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whether this person may have jobs run now."""
        return request.user.has_perm("cronkite.run_job")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Whether this person may clear locks."""
        return request.user.has_perm("cronkite.unlock_job")

    def offered(self, request: HttpRequest, job: Job) -> list[tuple[str, _StrOrPromise]]:
        """Return the actions that make sense for one job, and that this person may take: name and label."""
        may_change = self.has_change_permission(request, job)
        found: list[tuple[str, _StrOrPromise, bool]] = [
            ("run", _("Run now"), self.has_run_permission(request)),
            ("withdraw", _("Withdraw the request"), job.is_asked and self.has_run_permission(request)),
            ("enable", _("Enable"), may_change and not job.enabled),
            ("disable", _("Disable"), may_change and job.enabled),
            ("unlock", _("Unlock"), job.is_locked and self.has_unlock_permission(request)),
            ("restore", _("Return to what code declares"), may_change and bool(declared.differences(job))),
        ]
        return [(name, label) for name, label, makes_sense in found if makes_sense]

    # From the list.

    def response_action(  # type: ignore[override]  # Django 5.2 has no action_location
        self, request: HttpRequest, queryset: QuerySet[Job], **kwargs: Any
    ) -> HttpResponse | None:
        """Act on the jobs that were chosen, also on those that do not fit the list's filters any more."""
        if request.POST.get("select_across", "0") not in {"", "0"}:
            return super().response_action(request, queryset, **kwargs)
        keys = selections.unpack(request.POST.getlist(ACTION_CHECKBOX_NAME))
        sent = request.POST.copy()
        # What is no key is nobody's choice; Django would look for it all the same.
        sent.setlist(ACTION_CHECKBOX_NAME, list(map(str, keys)))
        if keys:
            queryset = self.get_queryset(request).filter(pk__in=keys)
            gone = len(keys) - queryset.count()
            if gone == len(keys):
                _say_all_gone(request)
                return HttpResponseRedirect(request.get_full_path())
            if gone:
                text = ngettext(
                    "%(count)d job that was chosen is gone meanwhile.",
                    "%(count)d jobs that were chosen are gone meanwhile.",
                    gone,
                )
                messages.warning(request, text % {"count": gone})
            # The jobs are chosen; Django would choose them by fields of which there may not be so many.
            sent["select_across"] = "1"
        request.POST = sent  # type: ignore[assignment]  # it need not be immutable
        return super().response_action(request, queryset, **kwargs)

    # From a job's own page.

    def act(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """Do what a button on the job's page asks for; ``None`` if there are unsaved edits, which its form tells of."""
        job = self.get_object(request, unquote(object_id))
        if job is None:
            return None  # Django says so
        if not self.has_view_or_change_permission(request, job):
            raise PermissionDenied
        name = request.POST.get(ACTION, "")
        if name not in self.get_actions(request):
            raise PermissionDenied
        if self.has_change_permission(request, job) and not request.POST.get(CONFIRMED):
            form = self.get_form(request, job, change=True)(request.POST, instance=job)
            if form.unsaved():  # type: ignore[attr-defined]  # it is our form
                return None
        response: HttpResponse | None = getattr(self, name)(request, self.get_queryset(request).filter(pk=job.pk))
        return response or HttpResponseRedirect(request.get_full_path())

    # The actions.

    @admin.action(description=_("Run selected jobs now"), permissions=["run"])
    def run(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Ask for a run of each; the next tick takes it."""
        jobs = list(queryset)
        if not request.POST.get(CONFIRMED):
            consequences = gettext(
                "Each runs once, on one of the nodes, as soon as a node ticks, besides the runs of its schedule. A job "
                "that is running or locked waits until it is free."
            )
            return self._confirm(request, jobs, "run", gettext("Run now?"), consequences)
        asked = requests.ask_all(jobs, request.user.get_username())
        self._note(request, asked, "Asked for a run now.")
        keys = {job.pk for job in asked}
        said.of_requests(request, asked, [job for job in jobs if job.pk not in keys])
        return None

    @admin.action(description=_("Withdraw requests to run selected jobs"), permissions=["run"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Take back what was asked for and no node has taken yet."""
        jobs = list(queryset)
        withdrawn = [job for job in jobs if job.is_asked and requests.withdraw(job)]
        self._note(request, withdrawn, "Withdrew the request for a run.")
        if withdrawn:
            text = ngettext(
                "The request for a run of %(count)d job was withdrawn: %(names)s.",
                "The requests for runs of %(count)d jobs were withdrawn: %(names)s.",
                len(withdrawn),
            )
            messages.success(request, text % {"count": len(withdrawn), "names": shown.names(withdrawn)})
        if rest := len(jobs) - len(withdrawn):
            text = ngettext(
                "No request waits for %(count)d job: none was there, or a node has taken it.",
                "No requests wait for %(count)d jobs: none were there, or nodes have taken them.",
                rest,
            )
            messages.info(request, text % {"count": rest})
        return None

    @admin.action(description=_("Enable selected jobs"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Have them run by their schedules from now on."""
        return self._switch(request, list(queryset), on=True)

    @admin.action(description=_("Disable selected jobs"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Have them run no more by their schedules. A run that goes on is left alone."""
        return self._switch(request, list(queryset), on=False)

    @admin.action(description=_("Unlock selected jobs"), permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Clear locks: without ``CRONKITE_LOCK_TIMEOUT`` only a person can, who knows that the run is gone."""
        jobs = list(queryset)
        if not request.POST.get(CONFIRMED):
            consequences = gettext(
                "Make sure first that the run is gone: the job can then be run again, and would run twice at a time. "
                "The run that holds the lock is recorded as lost, and is ended if it still goes on."
            )
            return self._confirm(request, jobs, "unlock", gettext("Unlock?"), consequences)
        user = request.user.get_username()
        unlocked = [job for job in jobs if job.is_locked and holding.unlock(job, by=user)]
        for job in unlocked:
            self.log_change(request, job, f"Unlocked. The lock was held by {job.locked_by}.")
        if unlocked:
            text = ngettext(
                "%(count)d job was unlocked: %(names)s. Its run is recorded as lost, and is ended if it still goes on.",
                "%(count)d jobs were unlocked: %(names)s. Their runs are recorded as lost, and are ended if they still "
                "go on.",
                len(unlocked),
            )
            messages.success(request, text % {"count": len(unlocked), "names": shown.names(unlocked)})
        if free := len(jobs) - len(unlocked):
            text = ngettext("%(count)d job was not locked.", "%(count)d jobs were not locked.", free)
            messages.info(request, text % {"count": free})
        return None

    @admin.action(description=_("Return selected jobs to what code declares"), permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Undo what was overridden here."""
        jobs = list(queryset)
        if not request.POST.get(CONFIRMED):
            consequences = gettext("What was overridden here is replaced by what code declares.")
            return self._confirm(request, jobs, "restore", gettext("Return to what code declares?"), consequences)
        restored, refused = [], False
        for job in jobs:
            try:
                changed = declared.restore(job)
            except CronkiteError as error:
                refused = True
                messages.error(request, f"{job.name}: {error}")
                continue
            if changed:
                restored.append(job)
                self.log_change(request, job, [{"changed": {"fields": changed}}])
        text = ngettext(
            "%(count)d job is now what code declares: %(names)s.",
            "%(count)d jobs are now what code declares: %(names)s.",
            len(restored),
        )
        if restored:
            messages.success(request, text % {"count": len(restored), "names": shown.names(restored)})
        elif not refused:
            messages.info(request, gettext("Nothing was overridden, or code declares nothing."))
        return None

    @admin.action(description=_("Delete selected jobs"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Delete them, as Django's own action of this name does, which asks with a field for each."""
        jobs = list(queryset)
        if not (request.POST.get(CONFIRMED) or request.POST.get("post")):
            consequences = gettext("They run no more by their schedules. A run that goes on is recorded as lost.")
            return self._confirm(request, jobs, "delete_selected", gettext("Delete?"), consequences)
        # Before, as in Django's own: afterwards there is nothing to tell of.
        self.log_deletions(request, queryset)
        self.delete_queryset(request, queryset)
        text = pgettext("jobs or logs", "Successfully deleted %(count)d %(items)s.")
        messages.success(request, text % {"count": len(jobs), "items": model_ngettext(self.opts, len(jobs))})
        return None

    def _switch(self, request: HttpRequest, jobs: list[Job], *, on: bool) -> HttpResponse | None:
        switched, refused = switches.switch(jobs, on=on, using=primary.alias())
        for job, error in refused:
            messages.error(request, f"{job.name}: {error}")
        self._note(request, switched, "Enabled." if on else "Disabled.")
        text = (
            ngettext("%(count)d job was enabled: %(names)s.", "%(count)d jobs were enabled: %(names)s.", len(switched))
            if on
            else ngettext(
                "%(count)d job was disabled: %(names)s.", "%(count)d jobs were disabled: %(names)s.", len(switched)
            )
        )
        if switched:
            messages.success(request, text % {"count": len(switched), "names": shown.names(switched)})
        elif not refused:
            messages.info(request, gettext("Nothing to do."))
        return None

    def _note(self, request: HttpRequest, jobs: Sequence[Job], message: str) -> None:
        """Write into the history of each what was done to it, by one statement for many.

        In English: it is for all who read it later, whatever the language of who acts.
        """
        if jobs:
            LogEntry.objects.log_actions(
                user_id=request.user.pk,  # type: ignore[arg-type]  # nobody gets here who is nobody
                queryset=jobs,
                action_flag=CHANGE,
                change_message=message,
            )

    def _confirm(
        self, request: HttpRequest, jobs: Sequence[Job], action: str, title: str, consequences: str
    ) -> HttpResponse | None:
        if not jobs:
            _say_all_gone(request)
            return None
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            **crumbs.of(self, jobs[0] if len(jobs) == 1 else None),
            "title": title,
            "consequences": consequences,
            "decisive": decisive.look(action, jobs),
            "count": len(jobs),
            "keys": selections.pack(job.pk for job in jobs),
            "action": action,
            "opts": self.opts,
            "media": self.media,
            "checkbox": ACTION_CHECKBOX_NAME,
            # Where the action was chosen, with its filters: there the answer is sent, and there one comes back to.
            "address": request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/cronkite/job/confirm.html", context)


def _say_all_gone(request: HttpRequest) -> None:
    messages.warning(request, gettext("What was chosen is gone meanwhile. Nothing was changed."))
