"""Whose is this process?

``manage.py cron``'s own, if that was started from a command line: then it may be ended for the sake of a run. Where a
program calls the command, ``Job.run()`` or ``Job.process_queue()``, the process is that program's, and goes on.
"""

from __future__ import annotations

_is_ours = False


def take() -> None:
    """Say that this process is there for the command, and for nothing else."""
    global _is_ours  # noqa: PLW0603 - it is about the process, of which there is one
    _is_ours = True


def is_ours() -> bool:
    """Tell whether this process may be ended."""
    return _is_ours
