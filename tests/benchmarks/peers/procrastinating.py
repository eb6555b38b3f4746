"""procrastinate, by its Django app. Its periodic tasks are declared in code, one per number."""

import sys

TITLE = "procrastinate"
DISTRIBUTIONS = ("procrastinate", "psycopg", "psycopg-pool")
SETTINGS = "manage.py procrastinate worker --concurrency 2; all else as by default."
RECORDS = True
FINEST = 1
MOST_JOBS = None


def settings():
    return {
        "INSTALLED_APPS": ["procrastinate.contrib.django"],
        "PROCRASTINATE_ON_APP_READY": "benchmarks.peers.procrastinate_tasks.register",
    }


def declare(jobs):
    """Do nothing: see ``procrastinate_tasks``."""


def commands():
    return [[sys.executable, "-m", "django", "procrastinate", "worker", "--concurrency", "2"]]
