"""How is a job enabled or disabled at the command line?"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from cronkite.cli import instants, jobs
from cronkite.cli.terminal import Terminal, printable
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.reports import hindrances


def add_arguments(parser: ArgumentParser) -> None:
    """Take a job."""
    jobs.add_argument(parser)
    parser.add_argument("--json", action="store_true", help="write JSON")


def put(options: dict[str, Any], terminal: Terminal, *, enabled: bool) -> int:
    """Enable the job, or disable it, and say what follows from that."""
    job = jobs.find(options["job"])
    was = job.enabled
    if was != enabled:
        job.enabled = enabled
        try:
            job.save(update_fields=["enabled"])
        except ScheduleError as error:
            raise CommandError(f"Job {job.name!r} cannot be enabled: {error}.", returncode=1) from None
    if options["json"]:
        terminal.json({"job": job.pk, "name": job.name, "enabled": enabled, "was": was, "next_run": job.next_run})
        return 0
    again = " already" if was == enabled else ""
    terminal.say(f"{printable(job.name)} is {'enabled' if enabled else 'disabled'}{again}.{_what_follows(job)}")
    if enabled and (problem := hindrances.of_function(job.callee)):
        terminal.note(f"It cannot be run here, but perhaps on other nodes. {problem}")
    return 0


def _what_follows(job: Job) -> str:
    if job.enabled and job.next_run is not None:
        at = instants.absolute(job.next_run, job.timezone or settings.TIME_ZONE)
        return f" Its next slot is {at}, {instants.relative(job.next_run, job.now)}."
    if job.is_locked:
        return f" Its run on node {printable(job.locked_by)} goes on."
    return " It still runs when somebody asks for it." if job.is_asked else ""
