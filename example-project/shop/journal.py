"""A file in which each run of a job leaves a line: evidence of what ran that is not in django-cronkite's tables.

``run.py`` counts these lines to tell whether anything ran twice. A shop of yours has no use for it.
"""

import os

from django.conf import settings

import cronkite


def note():
    """Append a line for the run that this is called in, if a journal is kept."""
    run = cronkite.current_run()
    if run is not None:
        slot = run.slot.isoformat() if run.slot else "by-hand"
        _append(f"{run.job_name} {slot} {settings.CRONKITE_NODE} {os.getpid()}")


def note_task(context):
    """Append a line for the task that this is called in, which an engine runs, if a journal is kept.

    A task does not know for which slot it was handed over; its log knows the task's id.
    """
    result = context.task_result
    _append(f"{result.task.name} {result.id} {result.worker_ids[-1]} {os.getpid()}")


def _append(line):
    if not settings.SHOP_JOURNAL:
        return
    # One write to a file that is open for appending: the lines of many processes don't mix.
    file = os.open(settings.SHOP_JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)
