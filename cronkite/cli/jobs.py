"""Which job does a person mean?"""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management import CommandError
from django.db.models import Q

from cronkite.cli.terminal import printable
from cronkite.models import Job, Log, primary
from cronkite.models.queries import JobQuerySet, like

#: How many jobs an error names one by one.
NAMED = 10

MEANING = "JOB is a job's id, its function's dotted name, its name, or a part of either that no other job has."


def add_argument(parser: ArgumentParser) -> None:
    """Let a subcommand take a job."""
    parser.add_argument("job", metavar="JOB", help="id, function, name, or an unambiguous part of one")


def find(words: str) -> Job:
    """Return the job that ``words`` mean, with the database's clock in ``now``.

    An exact match comes before a part. Raises :class:`CommandError` with the candidates if there are several, and with
    advice if there is none.
    """
    jobs = Job.objects.using(primary.alias()).with_now()
    for found in _ways(jobs, words):
        candidates = list(found.order_by("name", "id")[: NAMED + 1])
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise CommandError(_several(words, candidates), returncode=2)
    raise CommandError(_none(words), returncode=2)


def _ways(jobs: JobQuerySet, words: str) -> list[JobQuerySet]:
    parts = jobs.filter(like(words))
    ways = [jobs.filter(function=words), jobs.filter(name=words), parts]
    if words.isascii() and words.isdecimal() and len(words) <= len(str(2**62)):
        ways.insert(0, jobs.filter(pk=int(words)))
    return ways


def _several(words: str, candidates: list[Job]) -> str:
    lines = [f"  {job.pk}  {printable(job.name)}  ({printable(job.what)})" for job in candidates[:NAMED]]
    if len(candidates) > NAMED:
        lines.append("  …")
    return "\n".join([f"{words!r} may be any of these jobs. Say which, by its id:", *lines])


def _none(words: str) -> str:
    logs = Log.objects.using(primary.alias()).filter(Q(job_name=words) | Q(function=words), job=None)
    gone = " There was one, which was deleted; its logs are kept in the admin." if logs.exists() else ""
    return f"There is no job {words!r}.{gone} `manage.py cron list` shows the jobs."
