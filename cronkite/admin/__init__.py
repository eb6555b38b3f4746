"""How do people enter jobs, see what runs, and read logs? In Django's admin."""

from cronkite.admin.jobs import JobAdmin
from cronkite.admin.logs import LogAdmin

__all__ = ["JobAdmin", "LogAdmin"]
