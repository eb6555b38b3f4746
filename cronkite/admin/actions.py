"""What can be done to jobs, one or many? Run now, enable, disable, unlock, return to what code declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cronkite import holding, requests
from cronkite.admin import declared, shown
from cronkite.exceptions import CronkiteError
from cronkite.models import Job

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    JobAdminBase = admin.ModelAdmin[Job]
else:
    JobAdminBase = admin.ModelAdmin

#: In the page that asks whether to go on: the answer that it sends.
CONFIRMED = "confirmed"
#: Sent from a job's own page, which is then shown again.
BACK = "back"


class JobActions(JobAdminBase):
    """The actions, each for who has the permission for it; those that can do harm ask first."""

    actions = ["run", "enable", "disable", "unlock", "restore"]

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
            ("enable", _("Enable"), may_change and not job.enabled),
            ("disable", _("Disable"), may_change and job.enabled),
            ("unlock", _("Unlock"), job.is_locked and self.has_unlock_permission(request)),
            ("restore", _("Return to what code declares"), may_change and bool(declared.differences(job))),
        ]
        return [(name, label) for name, label, makes_sense in found if makes_sense]

    @admin.action(description=_("Run selected jobs now"), permissions=["run"])
    def run(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Ask for a run of each; the next tick takes it."""
        jobs = list(queryset)
        if not request.POST.get(CONFIRMED):
            said = gettext(
                "Each runs once, on one of the nodes, as soon as a node ticks, besides the runs of its schedule. A job "
                "that is running or locked waits until it is free."
            )
            return self._confirm(request, jobs, "run", gettext("Run now?"), said)
        asked: list[Job] = []
        waiting: list[Job] = []
        for job in jobs:
            (asked if requests.ask(job, request.user.get_username()) else waiting).append(job)
        for job in asked:
            self.log_change(request, job, gettext("Asked for a run now."))
        if asked:
            said = ngettext(
                "%(count)d job will be run by the next tick: %(names)s.",
                "%(count)d jobs will be run by the next tick: %(names)s.",
                len(asked),
            )
            messages.success(request, said % {"count": len(asked), "names": shown.names(asked)})
        if waiting:
            said = ngettext(
                "%(count)d job was waiting for its run already: %(names)s.",
                "%(count)d jobs were waiting for their runs already: %(names)s.",
                len(waiting),
            )
            messages.info(request, said % {"count": len(waiting), "names": shown.names(waiting)})
        return self._after(request, jobs)

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
            said = gettext(
                "Make sure first that the run is gone: the job can then be run again, and would run twice at a time. "
                "The run that holds the lock is recorded as lost, and is ended if it still goes on."
            )
            return self._confirm(request, jobs, "unlock", gettext("Unlock?"), said)
        user = request.user.get_username()
        unlocked = [job for job in jobs if job.is_locked and holding.unlock(job, by=user)]
        for job in unlocked:
            self.log_change(request, job, gettext("Unlocked. The lock was held by %(node)s.") % {"node": job.locked_by})
        if unlocked:
            said = ngettext(
                "%(count)d job was unlocked: %(names)s. Its run is recorded as lost, and is ended if it still goes on.",
                "%(count)d jobs were unlocked: %(names)s. Their runs are recorded as lost, and are ended if they still "
                "go on.",
                len(unlocked),
            )
            messages.success(request, said % {"count": len(unlocked), "names": shown.names(unlocked)})
        if free := len(jobs) - len(unlocked):
            said = ngettext("%(count)d job was not locked.", "%(count)d jobs were not locked.", free)
            messages.info(request, said % {"count": free})
        return self._after(request, jobs)

    @admin.action(description=_("Return selected jobs to what code declares"), permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Undo what was overridden here."""
        jobs = list(queryset)
        if not request.POST.get(CONFIRMED):
            said = gettext("What was overridden here is replaced by what code declares.")
            return self._confirm(request, jobs, "restore", gettext("Return to what code declares?"), said)
        restored = []
        for job in jobs:
            try:
                changed = declared.restore(job)
            except CronkiteError as error:
                messages.error(request, f"{job.name}: {error}")
                continue
            if changed:
                restored.append(job)
                self.log_change(request, job, [{"changed": {"fields": changed}}])
        said = ngettext(
            "%(count)d job is now what code declares: %(names)s.",
            "%(count)d jobs are now what code declares: %(names)s.",
            len(restored),
        )
        if restored:
            messages.success(request, said % {"count": len(restored), "names": shown.names(restored)})
        else:
            messages.info(request, gettext("Nothing was overridden, or code declares nothing."))
        return self._after(request, jobs)

    def _switch(self, request: HttpRequest, jobs: list[Job], *, on: bool) -> HttpResponse | None:
        switched = []
        for job in jobs:
            if job.enabled is on:
                continue
            job.enabled = on
            try:
                job.save(update_fields=["enabled"])
            except CronkiteError as error:
                messages.error(request, f"{job.name}: {error}")
                continue
            switched.append(job)
            self.log_change(request, job, gettext("Enabled.") if on else gettext("Disabled."))
        said = (
            ngettext("%(count)d job was enabled: %(names)s.", "%(count)d jobs were enabled: %(names)s.", len(switched))
            if on
            else ngettext(
                "%(count)d job was disabled: %(names)s.", "%(count)d jobs were disabled: %(names)s.", len(switched)
            )
        )
        if switched:
            messages.success(request, said % {"count": len(switched), "names": shown.names(switched)})
        else:
            messages.info(request, gettext("Nothing to do."))
        return self._after(request, jobs)

    def _confirm(
        self, request: HttpRequest, jobs: Sequence[Job], action: str, title: str, consequences: str
    ) -> HttpResponse:
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": title,
            "consequences": consequences,
            "jobs": jobs,
            "action": action,
            "opts": self.opts,
            "media": self.media,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "back": request.POST.get(BACK, ""),
            "back_url": self._page(jobs[0]) if BACK in request.POST and jobs else request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/cronkite/job/confirm.html", context)

    def _after(self, request: HttpRequest, jobs: Sequence[Job]) -> HttpResponse | None:
        """Go back to where the action was chosen; ``None`` is the list."""
        return HttpResponseRedirect(self._page(jobs[0])) if request.POST.get(BACK) and len(jobs) == 1 else None

    def _page(self, job: Job) -> str:
        return reverse("admin:cronkite_job_change", args=[job.pk], current_app=self.admin_site.name)
