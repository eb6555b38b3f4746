"""What is kept: jobs, and the logs of their runs."""

from cronkite.models.jobs import Job
from cronkite.models.logs import Log

__all__ = ["Job", "Log"]
