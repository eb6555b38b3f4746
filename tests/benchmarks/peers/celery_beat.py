"""django-celery-beat: its beat, and a Celery worker.

A broker in a server of its own, such as RabbitMQ or Redis, is what Celery's documentation advises; none is to be had
here, so it is kombu's file system transport, which is asked a hundred times a second. Its finest slots are a crontab's
minutes: an interval of a second counts from the last run, and names no slot. What ran is kept by the database result
backend.
"""

import os
import sys
from pathlib import Path

TITLE = "django-celery-beat"
DISTRIBUTIONS = ("django-celery-beat", "celery", "kombu", "SQLAlchemy")
SETTINGS = (
    "DatabaseScheduler and one worker of concurrency 2 (prefork); broker: kombu's file system transport, "
    "polling_interval 0.01 s; result backend: the database, by SQLAlchemy."
)
RECORDS = True
FINEST = 60
MOST_JOBS = None


def settings():
    folder = Path(os.environ["CRONKITE_BENCH_FOLDER"])
    for name in ("queue", "control", "processed"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "INSTALLED_APPS": ["django_celery_beat"],
        "CELERY_BROKER_URL": "filesystem://",
        "CELERY_BROKER_TRANSPORT_OPTIONS": {
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
            "processed_folder": str(folder / "processed"),
            "polling_interval": 0.01,
        },
        "CELERY_RESULT_BACKEND": "db+" + os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1),
        "CELERY_TIMEZONE": "UTC",
    }


def declare(jobs):
    import json

    from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

    minute, hour = jobs.fields[:2]
    crontab = CrontabSchedule.objects.create(minute=minute, hour=hour, timezone="UTC")
    PeriodicTask.objects.bulk_create(
        [
            PeriodicTask(
                name=f"job {n}", task="mark", crontab=crontab, args=json.dumps([jobs.evidence, n]), enabled=True
            )
            for n in range(jobs.number)
        ],
        batch_size=1000,
    )
    PeriodicTasks.update_changed()


def commands():
    celery = [sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_app"]
    beat = "django_celery_beat.schedulers:DatabaseScheduler"
    # Each node has files of its own.
    return [
        [*celery, "worker", "--concurrency", "2", "--loglevel", "WARNING", "--hostname", "{node}@%h"],
        [*celery, "beat", "--scheduler", beat, "--loglevel", "WARNING", "--pidfile="],
    ]
