"""``manage.py cron``: one tick. ``manage.py cron COMMAND``: see :mod:`cronkite.cli`."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, SystemCheckError
from django.db import Error

from cronkite import conf, loggers
from cronkite.checks import declared_checks
from cronkite.cli import WRITING, parsers
from cronkite.cli.loop import add_tick_arguments, beacons
from cronkite.database import commits, quirks
from cronkite.declared import discovery
from cronkite.exceptions import BeaconError, DatabaseAway
from cronkite.models import primary
from cronkite.nodes import ticks
from cronkite.processes import owner

HELP = """\
Run the jobs that are due, and see to them.

  manage.py cron         one tick: claim and run what is due, and end.
                         For the crontab of every node: * * * * *
  manage.py cron loop    stay, and tick at each slot. For containers.

Each slot of each job is run by one node at most, however many tick.
`manage.py cron COMMAND --help` tells of a command, with an example.

exit codes:
  0   done, whether or not jobs failed (they are in the logs), or stopped by
      SIGTERM or SIGINT
  1   the database is out of reach, its tables are missing, or a setting makes
      no sense
  2   the command line makes no sense
"""


#: Where a loop says what it is to be heard of at its start.
logger = logging.getLogger("cronkite.loop")


class Command(BaseCommand):
    """See ``HELP``, which ``manage.py cron --help`` shows."""

    help = HELP
    # Ours only: what the rest of the project has to say, such as a URLconf that can't be imported, keeps no job from
    # running, and need not be mailed each minute.
    requires_system_checks = ("cronkite",)

    def __init__(self, stdout: Any = None, stderr: Any = None, **kwargs: Any) -> None:
        # A shell's `>&-` leaves none at all.
        super().__init__(stdout or sys.stdout or _nowhere(), stderr or sys.stderr or _nowhere(), **kwargs)
        self._warnings: list[CheckMessage] = []

    def run_from_argv(self, argv: list[str]) -> None:
        # Only where a person or a service starts it: a program that calls the command has a life of its own.
        owner.take()
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_tick_arguments(parser)
        parsers.add_subcommands(parser)

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Run our own system checks; raise :class:`SystemCheckError` if one finds an error.

        Warnings are for ``manage.py check``, and for the start of a loop: a tick comes each minute.
        """
        found = [message for message in run_checks(tags=self.requires_system_checks) if not message.is_silenced()]
        if errors := [str(message) for message in found if message.is_serious()]:
            raise SystemCheckError("\n".join(["System checks of django-cronkite found errors:", *errors]))
        self._warnings = found

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with self._speaking(options):
                code = self._do(options)
        except (DatabaseAway, ImproperlyConfigured, BeaconError) as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(quirks.advice(error, primary.alias())) from error
        if code:
            sys.exit(code)

    def _speaking(self, options: dict[str, Any]) -> AbstractContextManager[None]:
        """Return a context in which a tick or a loop says what it does, as far as it is asked to."""
        stays, verbosity = options["subcommand"] == "loop", options["verbosity"]
        if options["subcommand"] not in {None, "loop"} or not (stays or verbosity > 1):
            return nullcontext()
        # Not at the top: what a tick does not use, it does not load.
        from cronkite.cli.voice import speaking

        return speaking(verbosity, stays, self.stderr)

    def _terminal(self, options: dict[str, Any]) -> Any:
        # Not at the top: what a tick does not use, it does not load.
        from cronkite.cli.terminal import Terminal

        return Terminal(self.stdout, self.stderr, self.style, bool(options["force_color"]))

    def _do(self, options: dict[str, Any]) -> int:
        """Do what was asked for, and return the exit code."""
        subcommand = options["subcommand"]
        if subcommand not in (None, "loop"):
            return self._tell(parsers.of(subcommand), options)
        if options["labels"] is not None:
            conf.overrule("CRONKITE_NODE_LABELS", options["labels"])
        workers = conf.get().workers if options["workers"] is None else options["workers"]
        if options["dry_run"]:
            from cronkite.cli.terminal import printable
            from cronkite.reports import preview

            terminal = self._terminal(options)
            for line in preview.lines():
                terminal.say(printable(line))
        else:
            with loggers.bounded(ends=owner.is_ours()):
                self._tick(workers, beacons(options, workers) if subcommand == "loop" else None)
        return 0

    def _tick(self, workers: int, shown_by: Any) -> None:
        """Tick once, or, with beacons, stay."""
        if shown_by is None:
            ticks.tick(workers)
        else:
            _warn(self._warnings)
            ticks.loop(workers, _discover, shown_by)

    def _tell(self, subcommand: Any, options: dict[str, Any]) -> int:
        # Not at the top: what a tick does not use, it does not load.
        from cronkite.cli.terminal import Unwritable

        if options["subcommand"] in WRITING and not options.get("only_show"):
            commits.demand()
            commits.demand_by_hand(primary.alias())
        terminal = self._terminal(options)
        try:
            code = int(subcommand.run(options, terminal))
            terminal.finish()
        except Unwritable as error:
            raise CommandError(str(error), returncode=getattr(subcommand, "UNWRITTEN", 1)) from None
        return code


def _nowhere() -> Any:
    return Path(os.devnull).open("w")  # for as long as the process lasts


def _discover() -> None:
    """Make jobs of what is declared, and say what is wrong with that."""
    discovery.discover_apps()
    _warn(declared_checks.messages())


def _warn(found: list[CheckMessage]) -> None:
    for message in found:
        if not message.is_silenced():
            logger.warning("%s", message)
