"""Have a job run by its schedule, from now on.

Slots that came while it was disabled are not made up for. JOB is a job's id,
its function's dotted name, its name, or a part of either that no other job
has.

examples:
  manage.py cron enable send_invoices
  manage.py cron enable 12 --json

exit codes:
  0   it is enabled
  1   its schedule is broken, so it cannot be
  2   the command line makes no sense, or names no job, or several
"""

from __future__ import annotations

from typing import Any

from cronkite.cli import enabling
from cronkite.cli.terminal import Terminal

add_arguments = enabling.add_arguments


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Enable it."""
    return enabling.put(options, terminal, enabled=True)
