"""Stay, and tick at each slot, until told to stop (SIGTERM or SIGINT). For
containers.

It looks for new and edited jobs, and for runs that people ask for, every 12
seconds. At its start it says who it is, how many jobs it has, what comes next,
and what `manage.py check` warns of.

examples:
  manage.py cron loop --workers 8
  manage.py cron loop -v 2          say what is claimed, run and waited for
"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

MOST_WORKERS = 1000


def add_arguments(parser: ArgumentParser) -> None:
    """Take what a tick takes; what was said before the subcommand holds unless it is said again."""
    add_tick_arguments(parser, default=argparse.SUPPRESS)


def add_tick_arguments(parser: ArgumentParser, **default: Any) -> None:
    """Take what both a tick and a loop take."""
    parser.add_argument(
        "--workers",
        type=workers,
        metavar="N",
        help="how many runs to have at a time, each in a process of its own (default: CRONKITE_WORKERS); "
        "0: in this process, one after another, for debuggers",
        **default,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be claimed, and change nothing", **default
    )


def workers(text: str) -> int:
    """Return the number of workers."""
    if not text.isdecimal() or int(text) > MOST_WORKERS:
        raise ArgumentTypeError(f"it must be a whole number from 0 to {MOST_WORKERS}, not {text!r}")
    return int(text)
