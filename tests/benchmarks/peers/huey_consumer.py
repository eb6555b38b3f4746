"""huey, by its Django app, with PostgreSQL as its storage. Its periodic tasks are declared in code."""

import os
import sys

TITLE = "huey"
DISTRIBUTIONS = ("huey", "peewee", "psycopg2-binary")
SETTINGS = "manage.py run_huey, SqlHuey (peewee) on PostgreSQL; 2 workers (threads); all else as by default."
RECORDS = False
FINEST = 60
MOST_JOBS = None


def settings():
    from huey.contrib.sql_huey import SqlHuey

    huey = SqlHuey("benchmark", database=os.environ["DATABASE_URL"], immediate=False, utc=True)
    return {"INSTALLED_APPS": ["huey.contrib.djhuey", "benchmarks.peers.huey_tasks"], "HUEY": huey}


def declare(jobs):
    """Do nothing: see ``huey_tasks``."""


def commands():
    return [[sys.executable, "-m", "django", "run_huey", "--workers", "2"]]
