"""The job of the storms. What it writes into a file is the evidence: no table of cronkite's can colour it."""

import os
import random
import time
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

import cronkite
from app.jobs import wait_for

_files = {}


def run(evidence, seconds=0):
    """Write that a run begins, take so many seconds, and write that it ends. Each line is one write()."""
    with _noted(evidence):
        if seconds and "CRONKITE_TEST_HURRY" not in os.environ:
            time.sleep(seconds)


def run_until(evidence, path):
    """The same, but end when there is this file."""
    with _noted(evidence):
        wait_for(path)


@contextmanager
def _noted(evidence):
    """Write that a run begins, and, if it is not cut short, that it ends."""
    line = note()
    _write(evidence, f"{line('begin')}\n")
    yield
    _write(evidence, f"{line('end')}\n")


def ask(evidence, times):
    """Meanwhile, ask the database so many questions; fail if it gives somebody else's answer."""
    line = note()
    _write(evidence, f"{line('begin')}\n")
    try:
        with connection.cursor() as cursor:
            for _ in range(times):
                number = random.randrange(10**9)
                cursor.execute("SELECT %s", [number])
                answer = cursor.fetchone()
                assert answer == (number,), f"{answer} for {number}"
    finally:
        _write(evidence, f"{line('end')}\n")


def note():
    """Return what makes the line which says that something happens now to this run."""
    run = cronkite.current_run()
    who = f"{run.job_id} {int(run.slot.timestamp())} {run.fence} {settings.CRONKITE_NODE} {os.getpid()}"
    return lambda what: f"{who} {what} {time.monotonic():.6f}"


def _write(path, line):
    if path not in _files:
        _files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_files[path], line.encode())
