"""Tasks for RQ: of Django's own kind, where there is one, and of the backport's, which its backend comes from."""

from __future__ import annotations

import os
import time

import django
from django_tasks import task as backport_task

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    task = backport_task


@task(backend="rq")
def double(number=1):
    """Double it."""
    return 2 * number


@backport_task(backend="rq")
def triple(number=1):
    """Triple it."""
    return 3 * number


@task(backend="rq")
def fail():
    """Fail."""
    raise ValueError("no such customer")


@task(backend="rq", takes_context=True)
def note(context, path):
    """Leave a line in a file: what the task is called."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{context.task_result.id}\n".encode())
    os.close(descriptor)


@task(backend="rq")
def slow(path, seconds):
    """Say that it has begun, and take its time."""
    with open(path, "w") as evidence:
        evidence.write("begun")
    time.sleep(seconds)
