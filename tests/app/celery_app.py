"""An app of Celery, whose broker and result backend the environment names."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

app = Celery(
    "tests",
    broker=os.environ.get("CRONKITE_TEST_BROKER", "memory://"),
    backend=os.environ.get("CRONKITE_TEST_RESULTS") or None,
    set_as_current=False,
)
app.autodiscover_tasks(["cronkite"])
app.conf.broker_connection_timeout = 5
app.conf.broker_connection_retry_on_startup = True
app.conf.task_routes = {"app.celery_app.routed": {"queue": "lane"}}

other_app = Celery("other", broker=os.environ.get("CRONKITE_TEST_OTHER_BROKER", "memory://"), set_as_current=False)


@app.task
def double(number=1):
    """Double it."""
    return 2 * number


@app.task(bind=True)
def note(self, path):
    """Leave a line in a file, and what the task is called."""
    with Path(path).open("a") as evidence:
        evidence.write(f"{self.request.id}\n")


@app.task
def fail():
    """Fail."""
    raise ValueError("no such customer")


@app.task(ignore_result=True)
def forget():
    """Leave nothing behind."""


@app.task
def routed():
    """Go to a queue of its own."""


@other_app.task
def abroad():
    """Go to another broker."""


@app.task
def slow(path, seconds):
    """Say that it has begun, and take its time."""
    Path(path).write_text("begun")
    time.sleep(seconds)
