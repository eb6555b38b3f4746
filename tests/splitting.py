"""Routers that send what is read of some tables to another database than what is written."""


class Router:
    """Reads go to the replica, which refuses them (:mod:`refusing`)."""

    #: Whose tables.
    apps = frozenset({"cronkite"})

    def db_for_read(self, model, **hints):
        """Send them away from where the rows are."""
        return "replica" if model._meta.app_label in self.apps else None

    def db_for_write(self, model, **hints):
        """Write where all the rest is."""
        return "default" if model._meta.app_label in self.apps else None

    def allow_migrate(self, db, app_label, **hints):
        """Leave the replica empty."""
        return None if db == "default" else False


class WideRouter(Router):
    """Those of other packages that django-cronkite reads, too. They themselves read as they like, and are refused."""

    apps = Router.apps | {"django_apscheduler", "django_celery_beat", "django_tasks_database"}
