"""A router that sends what is read of django-cronkite's tables, and of those that it reads, elsewhere than writes."""

#: Whose tables.
APPS = {"cronkite", "django_apscheduler", "django_celery_beat", "django_tasks_database"}


class Router:
    """Reads go to the replica, which refuses them (:mod:`refusing`)."""

    def db_for_read(self, model, **hints):
        """Send them away from where the rows are."""
        return "replica" if model._meta.app_label in APPS else None

    def db_for_write(self, model, **hints):
        """Write where all the rest is."""
        return "default" if model._meta.app_label in APPS else None

    def allow_migrate(self, db, app_label, **hints):
        """Leave the replica empty."""
        return None if db == "default" else False
