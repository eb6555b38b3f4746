"""APScheduler 3, with its SQLAlchemy job store: ``python -m benchmarks.peers.ap_scheduler`` is a node.

By default it drops what is a second late, and so most of a burst: here nothing is dropped.
"""

import os
import sys

TITLE = "APScheduler"
DISTRIBUTIONS = ("APScheduler", "SQLAlchemy", "psycopg")
SETTINGS = "BlockingScheduler, SQLAlchemyJobStore, ThreadPoolExecutor(2), misfire_grace_time None; UTC."
RECORDS = False
FINEST = 1
#: Each is added by a statement and a commit of its own.
MOST_JOBS = 10_000


def settings():
    return {}


def _scheduler(kind):
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

    url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1)
    return kind(
        jobstores={"default": SQLAlchemyJobStore(url=url)},
        executors={"default": ThreadPoolExecutor(2)},
        job_defaults={"misfire_grace_time": None},
        timezone="UTC",
    )


def declare(jobs):
    from apscheduler.schedulers.background import BackgroundScheduler

    names = ("minute", "hour", "day", "month", "day_of_week", "second")
    trigger = {name: value for name, value in zip(names, jobs.fields, strict=False) if value != "*" or name == "second"}
    trigger.setdefault("second", "0")
    for name in names[:5]:
        trigger.setdefault(name, "*")
    scheduler = _scheduler(BackgroundScheduler)
    scheduler.start(paused=True)
    for n in range(jobs.number):
        scheduler.add_job("benchmarks.peers.jobs:mark", "cron", args=[jobs.evidence, n], id=str(n), **trigger)
    scheduler.shutdown()


def commands():
    return [[sys.executable, "-m", "benchmarks.peers.ap_scheduler"]]


if __name__ == "__main__":
    from apscheduler.schedulers.blocking import BlockingScheduler

    _scheduler(BlockingScheduler).start()
