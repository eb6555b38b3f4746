"""The pages of jobs and logs on a theme's base class, as the documents show it."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from cronkite.admin import JobAdmin, LogAdmin
from cronkite.models import Job, Log

admin.site.unregister([Job, Log])


@admin.register(Job)
class ThemedJobAdmin(JobAdmin, ModelAdmin):
    pass


@admin.register(Log)
class ThemedLogAdmin(LogAdmin, ModelAdmin):
    pass
