"""Tell what became of a job at a time: was that a slot, which node took it and
how did it end; or why did it not run?

Without TIME this is about its last slot; with "now", about the slot that
waits, if one does, and how the job stands. TIME is on the clock of the job's
zone, unless it has an offset. Without seconds it means the slots of that
minute. JOB is a job's id, its function's dotted name, its name, or a part of
either that no other job has.

examples:
  manage.py cron why send_invoices
  manage.py cron why send_invoices now
  manage.py cron why send_invoices 03:00
  manage.py cron why send_invoices yesterday 03:00
  manage.py cron why 12 2026-03-29 02:30
  manage.py cron why 12 2026-03-29T00:30:00Z --json

exit codes:
  0   it is told
  2   the command line makes no sense, or names no job, or several
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from cronkite.cli import instants, jobs, moments, reasons
from cronkite.cli.instants import Asked
from cronkite.cli.terminal import Terminal, printable
from cronkite.cli.wording import in_words, stretch
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, Log
from cronkite.reports import accounts, hindrances
from cronkite.reports.accounts import Account, Verdict
from cronkite.schedules.zones import SECOND

STYLES = {Verdict.MISSED: "ERROR", Verdict.WAITING: "WARNING"}


def add_arguments(parser: ArgumentParser) -> None:
    """Take a job and a time."""
    jobs.add_argument(parser)
    parser.add_argument(
        "time", nargs="*", metavar="TIME", help="as in 03:00, yesterday 03:00, 2026-03-29 02:30, or now"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Tell it."""
    job = jobs.find(options["job"])
    zone = job.timezone or settings.TIME_ZONE
    try:
        asked = moments.meant(job, words := " ".join(options["time"]), zone)
    except instants.NotATime as error:
        raise CommandError(str(error), returncode=2) from None
    problem = hindrances.of(job)
    remarks = [*_about_machine(problem, zone), *_about_time(asked, zone)]
    if words.lower() == moments.NOW:
        remarks += moments.standing(job, zone)
    told = [
        [(each, list(reasons.of(job, each, zone))) for each in accounts.of(job, start, asked.length)]
        for start in asked.starts
    ]
    beside = [
        list(_beside(job, start, asked, zone, accounted)) for start, accounted in zip(asked.starts, told, strict=True)
    ]
    if options["json"]:
        terminal.json(
            {
                "job": job.pk,
                "name": job.name,
                "timezone": zone,
                "problem": problem or None,
                "remarks": remarks,
                "times": [
                    {"from": start, "slots": [_for_programs(*each) for each in slots], "remarks": more}
                    for start, slots, more in zip(asked.starts, told, beside, strict=True)
                ],
            }
        )
        return 0
    heading = f"{job.name} ({job.what}): {in_words(job.schedule, job.seed)}, in {zone}"
    terminal.say(printable(heading), "MIGRATE_HEADING")
    for line in remarks:
        terminal.say(printable(line), "WARNING")
    for slots, more in zip(told, beside, strict=True):
        for account, lines in slots:
            headline = f"{instants.absolute(account.slot, zone)}: {_headline(account)}"
            terminal.say(printable(headline), _style(account))
            for line in lines:
                terminal.say(f"  {printable(line)}")
        for line in more:
            terminal.say(printable(line))
    return 0


def _about_machine(problem: str, zone: str) -> Iterator[str]:
    """Say what keeps the job from running here, and from being understood."""
    if problem:
        yield f"It cannot run on this machine: {problem}"
    if not instants.has_clock(zone):
        yield "Its clock is not known here either, so all times are in UTC."


def _about_time(asked: Asked, zone: str) -> Iterator[str]:
    """Say what a change of the clock makes of the time that was asked about."""
    change = asked.change
    if change is None:
        return
    hours = stretch(change)
    if change.is_gap:
        after = instants.absolute(asked.starts[0], zone)
        yield f"In {zone} the clock skipped that time ({hours}). This is about the first instant after, {after}:"
    else:
        yield f"In {zone} the clock showed {hours} twice. This is about both passes:"


def _headline(account: Account) -> str:
    if account.verdict is Verdict.RAN:
        assert account.log is not None
        return str(account.log.status).replace("_", " ")
    return str(account.verdict.value)


def _style(account: Account) -> str:
    if account.verdict is Verdict.RAN and account.log is not None:
        status = account.log.status
        goes_on = status in {Log.Status.RUNNING, Log.Status.HANDED_OVER}
        return "SUCCESS" if status == Log.Status.SUCCEEDED else "" if goes_on else "ERROR"
    return STYLES.get(account.verdict, "")


def _beside(job: Job, start: datetime, asked: Asked, zone: str, slots: list[Any]) -> Iterator[str]:
    """Say what else there is to know about that time."""
    if not slots:
        yield from _no_slot(job, start, zone)
    for log in accounts.by_hand(job, start, asked.length):
        status = log.status.replace("_", " ")
        why = f", {log.reason}" if log.reason else ""
        yield f"A run by hand began then on node {log.node}{why}: {status} (log {log.pk})."


def _no_slot(job: Job, start: datetime, zone: str) -> Iterator[str]:
    """Say that there is no slot at that time, and where there are some."""
    at = instants.absolute(start, zone)
    try:
        schedule = job.get_schedule()
        if schedule.only_slot is not None:
            yield f"{at}: no slot of the job's schedule. The only one is {instants.absolute(schedule.only_slot, zone)}."
            return
        before, after = schedule.latest_at(accounts.moved(start, -SECOND)), schedule.next_after(start)
    except ScheduleError as error:
        yield f"{at}: nothing is recorded, and whether that was a slot cannot be told here: {error}."
    else:
        yield f"{at}: no slot of the job's schedule."
        yield f"  The slot before is {instants.absolute(before, zone)}."
        yield f"  The one after is {instants.absolute(after, zone)}."


def _for_programs(account: Account, lines: list[str]) -> dict[str, Any]:
    log = account.log
    return {
        "slot": account.slot,
        "verdict": account.verdict.value,
        "why": lines,
        "log": log
        and {
            "id": log.pk,
            "status": log.status,
            "attempt": log.attempt,
            "node": log.node,
            "engine": log.engine,
            "task": log.task_id,
            "worker": log.worker,
            "reason": log.reason,
            "started_at": log.started_at,
            "finished_at": log.finished_at,
        },
    }
