"""By which pages does one of our own come after the admin's first one?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.contrib import admin
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext

from cronkite.models import Job

if TYPE_CHECKING:
    JobAdminBase = admin.ModelAdmin[Job]
else:
    JobAdminBase = admin.ModelAdmin

#: Since then, breadcrumbs are a list, and have the style of one.
LISTED = (6, 1)


def of(model_admin: JobAdminBase, job: Job | None = None) -> dict[str, Any]:
    """Return what the template of the breadcrumbs takes: each page's label and address, the last of them the job's."""

    def url(name: str, *args: Any) -> str:
        return reverse(f"admin:{name}", args=args, current_app=model_admin.admin_site.name)

    opts = model_admin.opts
    pages = [
        (gettext("Home"), url("index")),
        (opts.app_config.verbose_name, url("app_list", opts.app_label)),
        (capfirst(opts.verbose_name_plural), url("cronkite_job_changelist")),
    ]
    if job is not None:
        pages.append((job.name, url("cronkite_job_change", job.pk)))
    return {"cronkite_crumbs": pages, "cronkite_crumbs_are_listed": django.VERSION >= LISTED}
