"""Stay, and tick at each slot, until told to stop (SIGTERM or SIGINT). For
containers.

It looks for new and edited jobs, and for runs that people ask for, every 12
seconds. At its start it says who it is, how many jobs it has, what comes next,
and what `manage.py check` warns of.

For probes that are to cost nothing, it touches files, whose age then tells;
see "Probes" in the documents. They have to be in a folder of this machine.

examples:
  manage.py cron loop --workers 8
  manage.py cron loop -v 2          say what is claimed, run and waited for
  manage.py cron loop --alive-file /dev/shm/cron-alive
"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, ArgumentTypeError
from typing import TYPE_CHECKING, Any

from cronkite import conf
from cronkite.exceptions import BeaconError

if TYPE_CHECKING:
    from cronkite.nodes.beacons import Beacons

MOST_WORKERS = 1000


def add_arguments(parser: ArgumentParser) -> None:
    """Take what a tick takes; what was said before the subcommand holds unless it is said again."""
    add_tick_arguments(parser, default=argparse.SUPPRESS)
    parser.add_argument(
        "--alive-file", metavar="PATH", help="touch this file every 10 seconds, as long as the loop goes round"
    )
    parser.add_argument(
        "--ready-file", metavar="PATH", help="touch this file whenever the database has been asked what is due"
    )


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
        "--labels",
        type=labels,
        metavar="A,B",
        help="what this node can do that others can't: jobs may name such labels (default: CRONKITE_NODE_LABELS)",
        **default,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be claimed, and change nothing", **default
    )


def beacons(options: dict[str, Any], workers: int) -> Beacons:
    """Return what probes are to see of a loop with so many workers.

    Raises :class:`BeaconError` without any, as the loop stands still then while a job runs.
    """
    # Not at the top: a tick lights none.
    from cronkite.nodes.beacons import Beacons

    paths = {"alive": options.get("alive_file"), "ready": options.get("ready_file")}
    if not workers and any(path is not None for path in paths.values()):
        raise BeaconError("A loop without workers stands still while a job runs, so its files would not tell.")
    return Beacons(**paths)


def labels(text: str) -> list[str]:
    """Return the node's labels."""
    found = text.replace(",", " ").split()
    if wrong := [label for label in found if not conf.is_label(label)]:
        raise ArgumentTypeError(f"{wrong[0]!r} is no label; labels are letters, digits, -, . and _, as in gpu,eu")
    return found


def workers(text: str) -> int:
    """Return the number of workers."""
    if not text.isdecimal() or int(text) > MOST_WORKERS:
        raise ArgumentTypeError(f"it must be a whole number from 0 to {MOST_WORKERS}, not {text!r}")
    return int(text)
