"""What the peers run: a function that tells when it began, and for which job."""

import time

from app.benched import write


def mark(path, number):
    """Append when the first line was reached (seconds of the epoch), and the job's number."""
    began = time.time()
    write(path, f"{began:.6f} {number}\n")
