"""A router that sends what is read of django-cronkite's tables to another database than what is written."""


class Router:
    """Reads go to the replica, which refuses them (:mod:`refusing`)."""

    def db_for_read(self, model, **hints):
        """Send them away from where the rows are."""
        return "replica" if model._meta.app_label == "cronkite" else None

    def db_for_write(self, model, **hints):
        """Write where all the rest is."""
        return "default" if model._meta.app_label == "cronkite" else None

    def allow_migrate(self, db, app_label, **hints):
        """Leave the replica empty."""
        return None if db == "default" else False
