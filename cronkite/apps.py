"""How Django meets the app."""

from __future__ import annotations

from django.apps import AppConfig


class CronkiteConfig(AppConfig):
    """The app ``cronkite``."""

    name = "cronkite"
    verbose_name = "Cron"
    default_auto_field = "django.db.models.BigAutoField"
