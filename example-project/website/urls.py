"""The admin is all that this shop shows."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("", admin.site.urls)]
