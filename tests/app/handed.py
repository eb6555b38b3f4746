"""Tasks that are handed over, and a function that is."""

from __future__ import annotations

import django

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task(backend="db")
def bill(number=1):
    """Bill somebody."""
    print("billed", number)
    return {"number": number}


@task(backend="db")
def fail():
    """Fail."""
    raise ValueError("no such customer")


@task(backend="db", takes_context=True)
def attempts(context):
    """Tell how often it was tried."""
    return context.attempt


@task(backend="broken")
def broken():
    """Never be run."""


@task(backend="elsewhere")
def elsewhere(number=1):
    """Be run by somebody else."""


@task
def at_once():
    """Be run by whoever enqueues it."""
    return "here"


def plain(number=1):
    """Be called by a task, or by a node."""
    return number + 1
