"""The tasks of the peer huey."""

from huey import crontab
from huey.contrib.djhuey import periodic_task

from benchmarks.peers import declared
from benchmarks.peers.jobs import mark


def register(jobs):
    """Register the jobs that this process's environment tells of."""
    names = ("minute", "hour", "day", "month", "day_of_week")
    when = dict(zip(names, jobs.fields, strict=False))
    for n in range(jobs.number):

        def run(n=n):
            mark(jobs.evidence, n)

        run.__name__ = f"mark_{n}"
        periodic_task(crontab(**when), name=f"mark_{n}")(run)


register(declared.get())
