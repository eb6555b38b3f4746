"""django-cronkite: cron for a cluster, with the project's own database as the only thing that its nodes share."""

__version__ = "1.0.0"
