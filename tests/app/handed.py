"""Tasks that are handed over, and a function that is."""

from __future__ import annotations

import os
import time

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


@task(backend="db", takes_context=True)
def leave(context, evidence, seconds=0):
    """Leave a line in a file, with the task's id, when it begins and when it ends, after so many seconds."""
    descriptor = os.open(evidence, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{context.task_result.id} begin\n".encode())
        time.sleep(seconds)
        os.write(descriptor, f"{context.task_result.id} end\n".encode())
    finally:
        os.close(descriptor)


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
