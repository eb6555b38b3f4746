"""Run a job now, in this process, whatever its schedule says and whether or not
it is enabled.

What it writes is shown as it comes, and kept in its log. It holds the job's
lock, so that no node runs the job meanwhile; where a run holds it already,
nothing is run. The job's timeout is not enforced. SIGTERM and SIGHUP end the
run, which is recorded as interrupted. So does the loss of its lock, when a
person unlocks the job: then it is recorded as lost. What it has started ends
with it, and if it has not ended 5 seconds later, or is told by a second
SIGTERM, its process ends. Ctrl-C interrupts it as it does any script: if it
heeds that, it is recorded as interrupted, and if not, it goes on.

With --ask it is not run here, but by the next node that looks: a tick, or
within 12 seconds a loop.

JOB is a job's id, its function's dotted name, its name, or a part of either
that no other job has.

examples:
  manage.py cron run send_invoices
  manage.py cron run 12 --ask

exit codes:
  0   it succeeded; with --ask: somebody's request waits
  1   it failed, lost its lock, or could not be run
  2   the command line makes no sense, or names no job, or several
  3   it is locked, by a run or by somebody's transaction, or its group is full
"""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

from django.core.management import CommandError

from cronkite import requests
from cronkite.claims import verdicts
from cronkite.cli import jobs, people
from cronkite.cli.terminal import Terminal, printable
from cronkite.code import functions, modules
from cronkite.exceptions import FunctionError, JobIsLocked, RunEnded
from cronkite.models import Job, Log, primary
from cronkite.processes import kin, owner
from cronkite.runs import interrupts, runner
from cronkite.runs.guards import FAILED, Guard
from cronkite.runs.interrupts import Person
from cronkite.schedules.durations import in_short

LOCKED = 3


def add_arguments(parser: ArgumentParser) -> None:
    """Take a job."""
    jobs.add_argument(parser)
    parser.add_argument("--ask", action="store_true", help="leave it to the next node that looks")
    parser.add_argument(
        "--json", action="store_true", help="write the log as JSON; what the job writes then goes to stderr"
    )


#: What is said where the database does not answer whether the job is claimed, and nobody waits for it any longer.
UNANSWERED = (
    "Job {job.name!r} was not run: the database does not answer. If it has taken the claim, the job is locked: see "
    "`manage.py cron list`, and say `manage.py cron unlock {job.pk}`."
)


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Run the job, and tell how it ended."""
    job = jobs.find(options["job"])
    if options["ask"]:
        return _ask(job, options, terminal)
    _look_up(job)
    guard = Guard()
    # From before the claim, which nobody would take back. SIGHUP comes when the terminal is closed.
    with guard.listening(signal.SIGTERM, signal.SIGHUP), interrupts.noted() as person:
        with guard.attended(UNANSWERED.format(job=job)):
            claim = _claim(job, partial(_heed, job, guard, person))
        with redirect_stdout(sys.stderr) if options["json"] else _as_it_is():
            ended_by = _run(person, claim, guard)
    log = Log.objects.using(primary.alias()).get(pk=claim.log_id)
    if options["json"]:
        terminal.json({field.attname: getattr(log, field.attname) for field in log._meta.concrete_fields})  # noqa: SLF001
    else:
        _tell(job, log, ended_by, terminal)
    return 0 if log.status == Log.Status.SUCCEEDED else FAILED


def _look_up(job: Job) -> None:
    try:
        functions.look_up(job.callee)
    except FunctionError as error:
        raise CommandError(f"Job {job.name!r} cannot be run here. {error}", returncode=FAILED) from None


def _heed(job: Job, guard: Guard, person: Person) -> None:
    if guard.is_told() or person.waits:
        raise CommandError(f"Job {job.name!r} was not run: told to end before it could be claimed.", returncode=FAILED)


def _claim(job: Job, heed: Callable[[], None]) -> verdicts.Claim:
    try:
        return runner.claim_by_hand(job, people.name(), heed)
    except JobIsLocked as error:
        raise CommandError(f"{error}{_held(job)}", returncode=LOCKED) from None
    except verdicts.Contention:
        raise CommandError("Others keep changing the job. Try again.", returncode=FAILED) from None
    except verdicts.OutcomeUnknown as doubt:
        raise CommandError(f"{doubt} Nothing was run.", returncode=FAILED) from None


def _ask(job: Job, options: dict[str, Any], terminal: Terminal) -> int:
    is_new = requests.ask(job, people.name())
    if options["json"]:
        terminal.json({"job": job.pk, "asked": is_new})
    else:
        said = "The next node that looks runs it." if is_new else f"It waits already, asked for by {job.asked_by}."
        terminal.say(f"{printable(job.name)}: {said}")
    return 0


def _held(job: Job) -> str:
    if job.locked_at is None:
        return ""
    seen = in_short((job.now - job.locked_at).total_seconds())
    return f" That was last seen alive {seen} ago; if it is gone, say `manage.py cron unlock {job.pk}`."


def _run(person: Person, claim: verdicts.Claim, guard: Guard) -> BaseException | None:
    """Run the claim; return what the function raised."""
    if owner.is_ours():
        # What the run starts is to be found, whatever becomes of who started it.
        kin.adopt_orphans()
    try:
        runner.run_before(person, claim, guard)
    except BaseException as error:  # noqa: BLE001 - the job's, not ours
        return error
    return None


def _tell(job: Job, log: Log, error: BaseException | None, terminal: Terminal) -> None:
    took = in_short((log.finished_at - log.started_at).total_seconds()) if log.finished_at and log.started_at else "?"
    status = log.status.replace("_", " ")
    if log.status == Log.Status.LOST:
        was_ended = isinstance(error, RunEnded) and error.status == Log.Status.LOST
        why = f" Its lock was lost while it ran{', so it was ended' if was_ended else ''}."
    else:
        why = f" {printable(modules.said(error))}" if error is not None and modules.text(error) else ""
    said = f"{printable(job.name)}: {status} after {took} (log {log.pk})."
    if log.status == Log.Status.SUCCEEDED:
        terminal.note(said + (f" It returned {log.result!r}." if log.result is not None else ""))
    else:
        terminal.note(f"{said}{why}")


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
