"""The job of the storms. What it writes into a file is the evidence: no table of cronkite's can colour it."""

import os
import time

from django.conf import settings

import cronkite

_files = {}


def run(evidence, seconds=0):
    """Write that a run begins, take so many seconds, and write that it ends. Each line is one write()."""
    note = "{job} {slot} {fence} {node} {pid} {{}} {{:.6f}}\n".format(**_who())
    _write(evidence, note.format("begin", time.monotonic()))
    if seconds and "CRONKITE_TEST_HURRY" not in os.environ:
        time.sleep(seconds)
    _write(evidence, note.format("end", time.monotonic()))


def _who():
    run = cronkite.current_run()
    return {
        "job": run.job_id,
        "slot": int(run.slot.timestamp()),
        "fence": run.fence,
        "node": settings.CRONKITE_NODE,
        "pid": os.getpid(),
    }


def _write(path, line):
    if path not in _files:
        _files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_files[path], line.encode())
