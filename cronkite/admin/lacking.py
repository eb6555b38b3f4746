"""Who may act on jobs and not see them: what does that person lack?

A permission to run or to unlock jobs shows nothing by itself, as both are done from the list of jobs. Without a word,
the admin would be empty, and nobody would know why.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from cronkite.models import Job

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Job]
else:
    AdminBase = admin.ModelAdmin

#: What shows nothing by itself.
ACTING = ("cronkite.run_job", "cronkite.unlock_job")


class TellsWhatIsLacking(AdminBase):
    """A ``ModelAdmin`` of jobs that says to who may only act on them what else it takes."""

    def lacks_sight(self, request: HttpRequest) -> bool:
        """Whether the person may act on jobs, and not see them."""
        return not self.has_view_or_change_permission(request) and any(map(request.user.has_perm, ACTING))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the app to who may only act, too."""
        return super().has_module_permission(request) or self.lacks_sight(request)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Have the list named where it leads to the word on what is lacking."""
        found = super().get_model_perms(request)
        return found | {"view": True} if self.lacks_sight(request) else found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or say what is lacking."""
        if not self.lacks_sight(request):
            return super().changelist_view(request, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Jobs can't be shown to you"),
            "opts": self.opts,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/cronkite/job/lacking.html", context, status=HTTPStatus.FORBIDDEN)
