"""django-q2, with the database as its broker."""

import sys

TITLE = "django-q2"
DISTRIBUTIONS = ("django-q2",)
SETTINGS = "manage.py qcluster, broker: the ORM; workers 2, timeout 60, retry 120; all else as by default."
#: The last 250, by default.
RECORDS = True
FINEST = 60
MOST_JOBS = None


def settings():
    cluster = {"name": "benchmark", "orm": "default", "workers": 2, "timeout": 60, "retry": 120}
    return {"INSTALLED_APPS": ["django_q"], "Q_CLUSTER": cluster}


def declare(jobs):
    from django_q.models import Schedule

    slot = jobs.first_slot()
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=f"job {n}",
                func="benchmarks.peers.jobs.mark",
                args=repr((jobs.evidence, n)),
                schedule_type=Schedule.CRON,
                cron=jobs.crontab,
                next_run=slot,
            )
            for n in range(jobs.number)
        ],
        batch_size=1000,
    )


def commands():
    return [[sys.executable, "-m", "django", "qcluster"]]
