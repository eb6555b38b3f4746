"""The tasks of the peer procrastinate."""

from benchmarks.peers import declared
from benchmarks.peers.jobs import mark


def register(app):
    """Register the jobs that this process's environment tells of."""
    jobs = declared.get()

    @app.task(name="mark")
    def run(timestamp, number):
        mark(jobs.evidence, number)

    for n in range(jobs.number):
        app.periodic(cron=jobs.crontab, periodic_id=str(n), task_kwargs={"number": n})(run)
