"""A file in which each run of a job leaves a line: evidence of what ran that is not in django-cronkite's tables.

``run.py`` counts these lines to tell whether anything ran twice. A shop of yours has no use for it.
"""

import os

from django.conf import settings

import cronkite


def note():
    """Append a line for the run that this is called in; do nothing if no journal is kept."""
    run = cronkite.current_run()
    if not settings.SHOP_JOURNAL or run is None:
        return
    slot = run.slot.isoformat() if run.slot else "by-hand"
    line = f"{run.job_name} {slot} {settings.CRONKITE_NODE} {os.getpid()}\n"
    # One write to a file that is open for appending: the lines of many processes don't mix.
    file = os.open(settings.SHOP_JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
