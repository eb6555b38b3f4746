"""``manage.py cron``: one tick. ``manage.py cron loop``: a node that stays."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from cronkite import conf, discovery, preview, ticks
from cronkite.exceptions import DatabaseAway

HELP = """\
Run the jobs that are due.

  manage.py cron         one tick: claim and run what is due, and end.
                         For the crontab of every node: * * * * *
  manage.py cron loop    stay, and tick at each slot. For containers.

Each slot of each job is run by one node at most, however many tick.

exit codes:
  0   done, whether or not jobs failed (they are in the logs), or stopped by SIGTERM or SIGINT
  1   the database is out of reach, its tables are missing, or a setting makes no sense
  2   the command line makes no sense
"""


MOST_WORKERS = 1000


class Command(BaseCommand):
    """See ``HELP``, which ``manage.py cron --help`` shows."""

    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mode", nargs="?", choices=["loop"], help="stay, and tick at each slot")
        parser.add_argument(
            "--workers",
            type=_workers,
            metavar="N",
            help="how many runs to have at a time, each in a process of its own (default: CRONKITE_WORKERS); "
            "0: in this process, one after another, for debuggers",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be claimed, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = conf.get().workers if options["workers"] is None else options["workers"]
        try:
            if options["dry_run"]:
                for line in preview.lines():
                    self.stdout.write(line)
            elif options["mode"] == "loop":
                discovery.discover_apps()
                ticks.loop(workers)
            else:
                ticks.tick(workers)
        except DatabaseAway as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database says: {error}\nHas `manage.py migrate` been run?") from error


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_WORKERS:
        raise ArgumentTypeError(f"it must be a whole number from 0 to {MOST_WORKERS}, not {text!r}")
    return int(text)
