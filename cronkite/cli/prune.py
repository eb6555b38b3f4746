"""Delete logs: those older than some days, and of each job all but the newest
so many. Logs of runs that still go on stay.

It goes in small transactions with pauses between them, so that nobody has to
wait for it. Without options, the settings CRONKITE_LOG_MAX_DAYS and
CRONKITE_LOG_MAX_PER_JOB say what goes; with one of them set, a job named
prune_logs does the same each night.

After logs were restored from a backup, some may say "running" of runs that
ended long ago. Whatever it is told to do, it ends these first; with --lost
alone it does nothing else.

examples:
  manage.py cron prune --days 90
  manage.py cron prune --days 365 --keep 10000

exit codes:
  0   done, also if there was nothing to delete
  1   no option and no setting says what goes, or the database said no
  2   the command line makes no sense
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management import CommandError

from cronkite import pruning
from cronkite.cli.terminal import Terminal
from cronkite.conf import MOST_DAYS
from cronkite.conf import get as get_conf

#: From one line of progress to the next: so many batches.
BATCHES = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Take the bounds."""
    parser.add_argument("--days", type=_days, metavar="N", help="delete what is older than so many days")
    parser.add_argument("--keep", type=_number, metavar="N", help="of each job, keep the newest N logs")
    parser.add_argument(
        "--lost", action="store_true", help="mark runs as lost whose logs say that they go on, but that hold no lock"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Delete, and tell how far it is meanwhile."""
    settings = get_conf()
    older_than, keep = settings.log_max_days, settings.log_max_per_job
    if options["days"] is not None or options["keep"] is not None:
        older_than, keep = options["days"], options["keep"]
    elif options["lost"]:
        return _lose(options, terminal)
    if older_than is None and keep is None:
        raise CommandError("What is to go? Add --days or --keep, or set CRONKITE_LOG_MAX_DAYS.")
    deleted = 0
    for batch, number in enumerate(pruning.prune(older_than, keep), start=1):
        deleted += number
        if batch % BATCHES == 0:
            terminal.note(f"{deleted:,} logs deleted so far …")
    if options["json"]:
        terminal.json({"deleted": deleted})
    else:
        terminal.say(f"{deleted:,} logs deleted." if deleted != 1 else "1 log deleted.")
    return 0


def _lose(options: dict[str, Any], terminal: Terminal) -> int:
    lost = pruning.lose_unlocked()
    if options["json"]:
        terminal.json({"lost": lost})
    else:
        terminal.say(f"{lost:,} runs marked as lost." if lost != 1 else "1 run marked as lost.")
    return 0


def _days(text: str) -> timedelta:
    return timedelta(days=_number(text, MOST_DAYS))


def _number(text: str, most: int = 10**12) -> int:
    if not text.isdecimal() or int(text) > most:
        raise ArgumentTypeError(f"it must be a whole number from 0 to {most}, not {text!r}")
    return int(text)
