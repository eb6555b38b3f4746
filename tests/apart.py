"""A router that has the tables of django-tasks-db in another database than the jobs."""


class Router:
    """The engine's rows are in ``tasks``, and all others where they are without it."""

    def db_for_read(self, model, **hints):
        """Read where it is written."""
        return self.db_for_write(model)

    def db_for_write(self, model, **hints):
        """Part the engine from all others."""
        return "tasks" if model._meta.app_label == "django_tasks_database" else None

    def allow_migrate(self, db, app_label, **hints):
        """Have the engine's tables there, and no others."""
        return (db == "tasks") == (app_label == "django_tasks_database")
