"""See the package."""

import app.slow
from app import jobs

app.slow.take_time()


def note(path, text):
    """Leave evidence of the run."""
    return jobs.note(path, text)
