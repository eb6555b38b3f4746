"""What is kept: jobs, the logs of their runs, and the nodes."""

from cronkite.models.jobs import Job
from cronkite.models.logs import Log, status_label
from cronkite.models.nodes import Node

__all__ = ["Job", "Log", "Node", "status_label"]
