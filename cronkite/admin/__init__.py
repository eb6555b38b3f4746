"""How do people enter jobs, see what runs, and read logs? In Django's admin."""

from cronkite.admin.groups import GroupAdmin
from cronkite.admin.jobs import JobAdmin
from cronkite.admin.logs import LogAdmin

__all__ = ["GroupAdmin", "JobAdmin", "LogAdmin"]
