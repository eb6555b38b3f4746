"""django-cronkite, in the peers' own race: ``manage.py cron loop``."""

import sys

TITLE = "django-cronkite"
DISTRIBUTIONS = ("django-cronkite",)
SETTINGS = "manage.py cron loop --workers 2; all else as by default."
RECORDS = True
FINEST = 1
MOST_JOBS = None


def settings():
    return {"INSTALLED_APPS": ["cronkite"], "CRONKITE_ALLOWED_FUNCTIONS": ["benchmarks.peers.jobs.mark"]}


def declare(jobs):
    from cronkite.models import Job

    Job.objects.bulk_create(
        [
            Job(
                name=f"job {n}",
                function="benchmarks.peers.jobs.mark",
                args=[jobs.evidence, n],
                schedule=jobs.crontab,
            )
            for n in range(jobs.number)
        ],
        batch_size=1000,
    )


def commands():
    return [[sys.executable, "-m", "django", "cron", "loop", "--workers", "2"]]
