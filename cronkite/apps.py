"""How Django meets the app."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, pre_delete, pre_save

from cronkite import conf, loggers, signals


class CronkiteConfig(AppConfig):
    """The app ``cronkite``."""

    name = "cronkite"
    verbose_name = "Cron"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, give the models their verbs, and follow ``migrate`` and deletions.

        Our loggers are made careful, and monitors that the project names are connected.
        """
        loggers.install()
        # Here and nowhere else may an import stand in a function: the models are not ready before.
        from cronkite.checks import declared_checks, job_checks, setting_checks
        from cronkite.declared import discovery
        from cronkite.models import Job, edits, fixtures, verbs
        from cronkite.nodes import heartbeat, ticks

        del setting_checks, declared_checks, job_checks  # imported to be registered
        verbs.run = lambda job: import_module("cronkite.runs.runner").run_by_hand(job)  # what most processes never need
        verbs.process_queue = ticks.process_queue
        heartbeat.watch = _watch
        verbs.auto_discover = discovery.auto_discover
        pre_delete.connect(edits.before_delete, sender=Job, dispatch_uid="cronkite.before_delete")
        pre_save.connect(fixtures.before_raw_save, sender=Job, dispatch_uid="cronkite.before_raw_save")
        post_migrate.connect(_discover, sender=self, dispatch_uid="cronkite.discover_apps")
        while verbs.asked_early:
            discovery.auto_discover(*verbs.asked_early.pop(0))
        if getattr(settings, "CRONKITE_MONITORS", ()):
            import_module("cronkite.monitors.connecting").connect()  # what most projects never need


def _watch() -> None:
    # What an idle tick is spared where nobody wants to know.
    if conf.get().alert or signals.node_silent.has_listeners():
        import_module("cronkite.watching.telling").begin()


def _discover(**options: Any) -> None:
    import_module("cronkite.declared.migrated").discover(**options)  # what other commands never need
