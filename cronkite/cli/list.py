"""Show the jobs: their schedules, when they run next, how they ended last, and
how they stand.

NEXT is on the clock of the job's own zone. STATE says who runs a job and
since when, whether it is stuck, disabled or asked for, and what keeps it from
running on this machine, such as a function or a time zone that is missing.

examples:
  manage.py cron list                 all jobs
  manage.py cron list shop.crontab    those with that in their name or function
  manage.py cron list --json          the same for programs, with all columns
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db.models import F

from cronkite.cli import instants
from cronkite.cli.terminal import NOTHING, Cell, Terminal
from cronkite.cli.wording import in_words
from cronkite.code import functions
from cronkite.models import Job, Log, primary
from cronkite.models.queries import like
from cronkite.reports import hindrances

HEADS = ["ID", "NAME", "SCHEDULE", "NEXT", "LAST", "STATE"]
STYLES: dict[str, str] = {
    Log.Status.SUCCEEDED: "SUCCESS",
    Log.Status.RUNNING: "",
    Log.Status.HANDED_OVER: "",
    Log.Status.INTERRUPTED: "WARNING",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Take a part of a name, or none."""
    parser.add_argument(
        "part", nargs="?", default="", help="show only jobs with this in their name, function or command"
    )
    parser.add_argument("--json", action="store_true", help="write JSON, with all that is known of each job")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Show the jobs, in a constant number of queries."""
    jobs = Job.objects.using(primary.alias()).with_now().order_by("name", "id")
    if part := options["part"]:
        jobs = jobs.filter(like(part))
    # The newest run is that of the newest claim.
    newest = Log.objects.using(primary.alias()).filter(job__in=jobs.order_by().values("pk"), fence=F("job__fence"))
    last = {log.job_id: log for log in newest.defer(*Log.TEXTS)}
    functions.try_all(job.callee for job in jobs)
    if options["json"]:
        terminal.json([_for_programs(job, last.get(job.pk)) for job in jobs])
    elif rows := [_row(job, last.get(job.pk)) for job in jobs]:
        terminal.table(HEADS, rows, yielding=["NAME", "SCHEDULE"])
    else:
        terminal.note(f"No job has {part!r} in it." if part else _ADVICE)
    return 0


_ADVICE = (
    "There are no jobs. Declare one in an app's crontab.py and run `manage.py cron sync`, or add one in the admin."
)


def _row(job: Job, last: Log | None) -> list[str | Cell]:
    zone = job.timezone or settings.TIME_ZONE
    schedule = in_words(job.schedule, job.seed) + (f" ({job.timezone})" if job.timezone else "")
    upcoming = NOTHING
    if job.next_run:
        upcoming = f"{instants.brief(job.next_run, job.now, zone)} ({instants.relative(job.next_run, job.now)})"
    ended = Cell(NOTHING)
    if last is not None:
        at = last.finished_at or last.started_at or last.created
        # One that newer code has written may be unknown here.
        style = STYLES.get(last.status, "ERROR")
        ended = Cell(f"{last.status.replace('_', ' ')} {instants.relative(at, job.now)}", style)
    # Of a function, the name says enough.
    name = Cell(job.name, "", job.what if job.what != job.function else "")
    return [str(job.pk), name, schedule, upcoming, ended, _state(job)]


def _state(job: Job) -> Cell:
    if job.locked_at is not None:
        seen = f"last seen alive {instants.relative(job.locked_at, job.now)}"
        if job.is_stuck:
            return Cell("stuck", "ERROR", f"locked by {job.locked_by}, {seen}")
        return Cell("running", "", f"on {job.locked_by}, {seen}")
    if problem := hindrances.of(job):
        return Cell("cannot run", "ERROR", f"on this machine: {problem}", joint=" ")
    if job.asked_at is not None:
        return Cell("asked for", "", f"by {job.asked_by}, {instants.relative(job.asked_at, job.now)}")
    if job.is_done:
        return Cell("done")
    return Cell("enabled") if job.enabled else Cell("disabled", "WARNING")


def _for_programs(job: Job, last: Log | None) -> dict[str, Any]:
    columns = [field.name for field in job._meta.concrete_fields]  # noqa: SLF001 - documented, in spite of its name
    return {
        **{name: getattr(job, name) for name in columns},
        "what": job.what,
        "words": in_words(job.schedule, job.seed),
        "state": _state(job).text,
        "problem": hindrances.of(job) or None,
        "last": last
        and {
            "log": last.pk,
            "status": last.status,
            "slot": last.slot,
            "node": last.node,
            "started_at": last.started_at,
            "finished_at": last.finished_at,
        },
    }
