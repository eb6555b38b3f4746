"""How many jobs of a group may run at a time, and which do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cronkite.admin import addresses, shown, urls
from cronkite.models import Group, Job

if TYPE_CHECKING:
    GroupAdminBase = admin.ModelAdmin[Group]
else:
    GroupAdminBase = admin.ModelAdmin


@admin.register(Group)
class GroupAdmin(addresses.SoundAddresses, GroupAdminBase):
    """Groups can be made, and given another number. Jobs name their group, so that its name stays as it is."""

    list_display = ["name", "max_running", "running", "jobs"]
    search_fields = ["name"]
    fields = ["name", "max_running", "running", "jobs"]
    readonly_fields = ["running", "jobs"]

    class Media:
        css = {"all": ["cronkite/admin.css", "cronkite/widths.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Return the groups, each with how many of its jobs run, and how many there are."""
        running = Job.objects.filter(seated_in=OuterRef("pk"))
        there = Job.objects.filter(group=OuterRef("name"))
        return Group.objects.annotate(now_running=_number(running, "seated_in"), there=_number(there, "group"))

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[Any]:
        """Keep the name of a group that there is: its jobs say it."""
        return self.readonly_fields if obj is None else ["name", *self.readonly_fields]

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> list[Any]:
        """Of a group that is being made, ask for what there is to say."""
        return ["name", "max_running"] if obj is None else self.fields

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Let no group be deleted that jobs name: the next claim would make it anew, and let one job run."""
        return super().has_delete_permission(request, obj) and (obj is None or not self._named(obj))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say which of the groups can't be deleted, as jobs name them."""
        to_delete, counts, lacking, protected = super().get_deleted_objects(objs, request)
        if super().has_delete_permission(request):
            # It is not the person that is in the way.
            lacking = set()
        for group in objs:
            if number := self._named(group):
                said = ngettext(
                    "group %(name)s, which %(count)d job names", "group %(name)s, which %(count)d jobs name", number
                )
                protected.append(said % {"name": group.name, "count": number})
        return to_delete, counts, lacking, protected

    @staticmethod
    def _named(group: Group) -> int:
        return Job.objects.filter(group=group.name).count()

    @admin.display(description=_("running"))
    def running(self, group: Any) -> SafeString | str:
        """Return how many of its jobs run, of how many that may."""
        said = gettext("%(count)d of %(most)d") % {"count": group.now_running, "most": group.max_running}
        return said if not group.now_running else format_html("<strong>{}</strong>", said)

    @admin.display(description=_("jobs"))
    def jobs(self, group: Any) -> SafeString | str:
        """Return how many jobs name it, with a link to these."""
        if not group.there:
            return shown.NOTHING
        number = ngettext("%(count)d job", "%(count)d jobs", group.there) % {"count": group.there}
        address = urls.url(self.admin_site.name, "job_changelist", group=group.name)
        return format_html('<a href="{}">{}</a>', address, number)


def _number(jobs: QuerySet[Job], column: str) -> Coalesce:
    counts = jobs.order_by().values(column).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)
