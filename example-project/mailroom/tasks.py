"""The mail room's tasks, of Django's own Tasks framework or, before Django 6, of the backport of it."""

import time

from shop import journal

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task


class PrinterIsOut(Exception):
    """The printer has no paper."""


@task(takes_context=True)
def send_invoices(context):
    """Send the invoices that have come up."""
    journal.note_task(context)
    return "sent"


@task(takes_context=True)
def print_labels(context):
    """Print the labels of the parcels; now and then the printer is out of paper, and the task fails."""
    journal.note_task(context)
    if int(time.time()) % 3 == 0:
        raise PrinterIsOut("tray 1 is empty")
    return "printed"


@task(takes_context=True)
def pack_parcels(context):
    """Pack what was ordered; it takes three seconds, longer than the two between its slots."""
    journal.note_task(context)
    time.sleep(3)
    return "packed"
