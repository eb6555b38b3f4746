"""The pages of a themed site: the admin, and what a theme has besides."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
if settings.THEME == "grappelli":
    urlpatterns.append(path("grappelli/", include("grappelli.urls")))
if settings.BASE:
    import browser.themed.based  # noqa: F401 - it registers
