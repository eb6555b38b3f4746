"""django-cronkite: cron for a cluster, with the project's own database as the only thing that its nodes share."""

from cronkite.code.current import CurrentRun, current_run
from cronkite.code.declarations import Scheduled, cron

__version__ = "1.0.0"

__all__ = ["CurrentRun", "Scheduled", "cron", "current_run"]
