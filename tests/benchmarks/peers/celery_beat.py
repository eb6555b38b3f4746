"""django-celery-beat: its beat, and a Celery worker, with Redis as their broker.

Its finest slots are a crontab's minutes: an interval of a second counts from the last run, and names no slot. What ran
is kept by the database result backend. Redis is one more server to run, so it counts with the first node.
"""

import os
import shutil
import sys
from pathlib import Path

from benchmarks.processes import Failed

TITLE = "django-celery-beat"
DISTRIBUTIONS = ("django-celery-beat", "celery", "kombu", "redis", "SQLAlchemy")
SETTINGS = (
    "DatabaseScheduler and one worker of concurrency 2 (prefork); broker: Redis, which counts with the first node; "
    "result backend: the database, by SQLAlchemy."
)
RECORDS = True
FINEST = 60
MOST_JOBS = None

APP = ("celery", "-A", "benchmarks.peers.celery_app")
SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
#: What follows ``python -m`` for the beat alone.
BEAT = (*APP, "beat", "--scheduler", SCHEDULER, "--loglevel", "WARNING", "--pidfile=")


def settings():
    return {
        "INSTALLED_APPS": ["django_celery_beat"],
        "CELERY_BROKER_URL": f"redis+socket://{socket(os.environ['CRONKITE_BENCH_FOLDER'])}",
        "CELERY_RESULT_BACKEND": "db+" + os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1),
        "CELERY_TIMEZONE": "UTC",
    }


def socket(folder):
    """Return the path of the socket of the Redis in this folder."""
    return Path(folder) / "redis.socket"


def declare(jobs):
    import json

    from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

    minute, hour = jobs.fields[:2]
    crontab = CrontabSchedule.objects.create(minute=minute, hour=hour, timezone="UTC")
    PeriodicTask.objects.bulk_create(
        [
            PeriodicTask(
                name=f"job {n}",
                task="mark",
                crontab=crontab,
                args=json.dumps([jobs.evidence, n]),
                enabled=True,
                last_run_at=jobs.last_run,
            )
            for n in range(jobs.number)
        ],
        batch_size=1000,
    )
    PeriodicTasks.update_changed()


def services(folder):
    if not shutil.which("redis-server"):
        raise Failed("redis-server is not installed (Debian's package: redis-server)")
    return [["redis-server", "--port", "0", "--unixsocket", str(socket(folder)), "--dir", str(folder), "--save", ""]]


def commands():
    python = [sys.executable, "-m"]
    # Each node has files of its own.
    worker = ["worker", "--concurrency", "2", "--loglevel", "WARNING", "--hostname", "{node}@%h"]
    return [[*python, *APP, *worker], [*python, *BEAT]]
