"""The job that django-cronkite declares for itself: if a setting says which logs may go, they go each night."""

from __future__ import annotations

from cronkite import conf, pruning
from cronkite.code.declarations import cron

#: After the nights' own jobs, in the project's zone; as with each declared job, the admin may say otherwise.
NIGHTLY = "23 4 * * *"


def prune_logs() -> str:
    """Delete the logs that CRONKITE_LOG_MAX_DAYS and CRONKITE_LOG_MAX_PER_JOB let go."""
    settings = conf.get()
    deleted = sum(pruning.prune(settings.log_max_days, settings.log_max_per_job))
    return f"{deleted} logs deleted"


if conf.get().prunes_logs:
    cron(NIGHTLY)(prune_logs)
