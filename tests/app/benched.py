"""The jobs of the benchmark: one that does nothing, and one that tells when it began."""

import os
import time


def nothing():
    """Return at once: what such a run takes is the scheduler's part."""


def mark(path):
    """Append when the first line of the function was reached (seconds of the epoch), and the slot it is for."""
    began = time.time()
    import cronkite

    run = cronkite.current_run()
    write(path, f"{began:.6f} {run.slot.timestamp() if run and run.slot else 0:.0f}\n")


def write(path, line):
    """Append a line. One write() to a file opened so is never mixed with another process's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
