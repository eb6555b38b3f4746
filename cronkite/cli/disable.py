"""Have a job run no more by its schedule, until it is enabled again.

A run that goes on is not ended. What had fallen due, and not run, is recorded
as missed. JOB is a job's id, its function's dotted name, its name, or a part
of either that no other job has.

examples:
  manage.py cron disable send_invoices
  manage.py cron disable 12 --json

exit codes:
  0   it is disabled
  2   the command line makes no sense, or names no job, or several
"""

from __future__ import annotations

from typing import Any

from cronkite.cli import enabling
from cronkite.cli.terminal import Terminal

add_arguments = enabling.add_arguments


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Disable it."""
    return enabling.put(options, terminal, enabled=False)
