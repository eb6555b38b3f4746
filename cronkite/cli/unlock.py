"""Clear the lock of a job whose run is gone: its node died, and no other may
take the job before somebody has looked.

The run is recorded as lost. If it goes on after all, it is ended when its
node next renews the lock; until then it may overlap with the next one. So
look first, on the node that is named, if the process is gone.

JOB is a job's id, its function's dotted name, its name, or a part of either
that no other job has.

examples:
  manage.py cron unlock send_invoices
  manage.py cron unlock 12 --yes

exit codes:
  0   the lock is cleared, or there was none
  1   the lock is kept: nobody said yes, or another run has got it meanwhile
  2   the command line makes no sense, or names no job, or several
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management import CommandError

from cronkite.claims import holding
from cronkite.cli import jobs, people
from cronkite.cli.terminal import Terminal, printable
from cronkite.conf import get as get_conf
from cronkite.schedules.durations import in_short


def add_arguments(parser: ArgumentParser) -> None:
    """Take a job."""
    jobs.add_argument(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Clear the lock, if somebody says yes."""
    job = jobs.find(options["job"])
    was = {"job": job.pk, "name": job.name, "locked_by": job.locked_by, "locked_at": job.locked_at}
    if job.locked_at is None:
        _say(options, terminal, f"{printable(job.name)} is not locked.", {**was, "unlocked": False})
        return 0
    age = job.now - job.locked_at
    seen = in_short(age.total_seconds())
    held = f"{printable(job.name)} is locked by {printable(job.locked_by)}, last seen alive {seen} ago."
    if not options["yes"]:
        terminal.note(held)
        if age < 2 * get_conf().renewal_interval:
            terminal.note("That is so recent that its run most likely goes on. It would be ended.")
        if not _agrees(terminal):
            terminal.note("The lock is kept.")
            return 1
    if not holding.unlock(job, by=people.name()):
        raise CommandError("Another run has got the lock meanwhile, or has given it back. Look again.")
    _say(options, terminal, f"{held} It is unlocked, and its run recorded as lost.", {**was, "unlocked": True})
    return 0


def _say(options: dict[str, Any], terminal: Terminal, words: str, value: dict[str, Any]) -> None:
    if options["json"]:
        terminal.json(value)
    else:
        terminal.say(words)


def _agrees(terminal: Terminal) -> bool:
    # Not by input(), which asks on stdout.
    terminal.err.write("Is the run gone, and shall the lock be cleared? [y/N] ", terminal.plain, ending="")
    terminal.err.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise CommandError("Nobody is there to ask. Add --yes if the run is gone.")
    return answer.strip().lower() in ("y", "yes")
