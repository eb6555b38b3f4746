"""Tell if all is well, as monitoring plugins do: one line first, and an exit
code.

Critical: no node ticks, a job is stuck, which nobody but a person unlocks, or
one has failed three times in a row. A warning: jobs that failed less often,
come late, or had slots that were missed within 24 hours, a node that ticked
within a day and is silent, too few nodes, a clock that is wrong. The options
say from which number on. WARNING and CRITICAL are numbers, or "never".

With --format prometheus it writes numbers that Prometheus reads, as from a
file that the textfile collector of its node_exporter finds.

With --here it is about this node alone, whatever becomes of jobs and of other
nodes: critical if it has not ticked yet, or for too long. For probes that are
to cost nothing, see `manage.py cron loop --help`.

examples:
  manage.py cron health
  manage.py cron health --here
  manage.py cron health --nodes 3 --silent 120 600 --missed never never
  manage.py cron health --format json
  manage.py cron health --format prometheus

exit codes:
  0   OK
  1   WARNING
  2   CRITICAL
  3   UNKNOWN: the database does not answer, or its tables are missing
"""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management import CommandError
from django.db import Error
from django.utils import translation

from cronkite import health
from cronkite.cli import instants
from cronkite.cli.terminal import NOTHING, Cell, Terminal, printable
from cronkite.database import quirks
from cronkite.health import LISTED, Health, Level, Limit, Limits
from cronkite.models import primary
from cronkite.reports import exposition, presence
from cronkite.reports.presence import Presence
from cronkite.reports.vitals import NodeHealth
from cronkite.schedules.durations import DAY, in_short

STYLES = {Level.OK: "SUCCESS", Level.WARNING: "WARNING", Level.CRITICAL: "ERROR", Level.UNKNOWN: "ERROR"}
#: The exit code where the answer could not be given.
UNWRITTEN = Level.UNKNOWN
#: For people, for programs, and for Prometheus.
FORMS = ("text", "json", "prometheus")
LIMITS = {
    "silent": "seconds since any node ticked",
    "failing": "failures of a job in a row",
    "missed": "missed slots of all jobs in 24 hours, without those in brief stretches",
    "late": "seconds since a job fell due, or was asked for, that no node has taken",
    "skew": "seconds by which a node's clock is wrong",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Take what is put up with."""
    for name, words in LIMITS.items():
        usual = getattr(health.USUAL, name)
        parser.add_argument(
            f"--{name}",
            nargs=2,
            type=_number,
            default=[usual.warning, usual.critical],
            metavar=("WARNING", "CRITICAL"),
            help=f"{words} (default: {_shown(usual.warning)} {_shown(usual.critical)})",
        )
    parser.add_argument(
        "--brief",
        type=_seconds,
        default=health.USUAL.brief,
        metavar="SECONDS",
        help="for how long a job's slots may be missed, as while nodes start, if that is no more than ten times this "
        f"in 24 hours (default: {health.USUAL.brief:g})",
    )
    parser.add_argument("--here", action="store_true", help="tell of this node alone, and of no jobs")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="how many nodes have to tick (default: 1)")
    forms = parser.add_mutually_exclusive_group()
    told = f"what to write: {', '.join(FORMS)} (default: {FORMS[0]})"
    forms.add_argument("--format", choices=FORMS, default=FORMS[0], metavar="FORMAT", help=told)
    forms.add_argument("--json", action="store_true", help="the same as --format json")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Look, and tell."""
    form = "json" if options["json"] else options["format"]
    if form == "prometheus" and options["here"]:
        said = "Of this node alone, nothing is written for Prometheus: it has --here in text and json."
        raise CommandError(said, returncode=Level.UNKNOWN)
    bounds = {name: Limit(*options[name]) for name in LIMITS}
    limits = Limits(nodes=options["nodes"], brief=options["brief"], **bounds)
    found: Health | Presence
    numbers = None
    with translation.override(None):
        try:
            found = presence.report(limits) if options["here"] else health.report(limits=limits)
            if form == "prometheus" and isinstance(found, Health):
                numbers = health.numbers(found, limits)
        except Error as error:
            return _unknown(quirks.advice(error, primary.alias()), form, terminal)
    if numbers is not None:
        terminal.program(exposition.text(numbers, terminal.encodable))
    elif form == "json":
        terminal.json(found.as_dict())
    elif isinstance(found, Presence):
        terminal.say(f"CRON {found.level.name} - {printable(found.text)}", STYLES[found.level])
    else:
        _tell(found, limits, terminal)
    return found.level


def _unknown(error: str, form: str, terminal: Terminal) -> int:
    if form == "prometheus":
        terminal.note(error)
        terminal.program(exposition.text(health.UNKNOWN))
    elif form == "json":
        terminal.json({"level": Level.UNKNOWN.name, "findings": [{"level": Level.UNKNOWN.name, "text": error}]})
    else:
        terminal.say(f"CRON UNKNOWN - {' '.join(error.split())}", "ERROR")
    return Level.UNKNOWN


def _tell(found: Health, limits: Limits, terminal: Terminal) -> None:
    # A bar would begin the numbers, and a line break the second line.
    problems = [printable(problem).replace("|", "/") for problem in found.problems]
    summary = " ".join(problems) or _all_well(found)
    terminal.say(f"CRON {found.level.name} - {summary} | {_numbers(found, limits)}", STYLES[found.level])
    for finding, problem in zip(found.findings, problems, strict=True):
        terminal.say(f"{finding.level.name}: {problem}", STYLES[finding.level])
    if found.nodes:
        terminal.table(
            ["NODE", "TICKED", "CLOCK", "KIND"],
            [
                [
                    node.name,
                    _ticked(node, found, limits),
                    NOTHING if node.skew is None else f"{node.skew:+.1f} s",
                    "loop" if node.stays else "ticks",
                ]
                for node in found.nodes[:LISTED]
            ],
        )
    if len(found.nodes) > LISTED:
        terminal.say(f"and {len(found.nodes) - LISTED} more nodes")


def _ticked(node: NodeHealth, found: Health, limits: Limits) -> Cell:
    ticked = instants.relative(node.ticked_at, found.now)
    if node.stopped_at is not None:
        return Cell(f"{ticked}, then stopped")
    return Cell(ticked, STYLES[limits.silent.level(node.age)])


def _all_well(found: Health) -> str:
    jobs = f"{found.jobs} job{'s' * (found.jobs != 1)}, {found.enabled} enabled, {found.running} running"
    assert found.silent_for is not None
    return f"{jobs}. The last tick was {in_short(found.silent_for)} ago."


def _numbers(found: Health, limits: Limits) -> str:
    """Return the numbers that monitoring draws, each with its limits: label=value;warning;critical."""
    worst = found.failing[0].count if found.failing else 0
    late = max((job.age for job in found.late), default=0)
    values = {
        "silent": ("U" if found.silent_for is None else f"{found.silent_for:.0f}s", limits.silent),
        "failing": (str(worst), limits.failing),
        "missed": (str(found.missed_slots), limits.missed),
        "late": (f"{late:.0f}s", limits.late),
        "stuck": (str(len(found.stuck)), Limit(None, 1)),
        "running": (str(found.running), Limit(None, None)),
    }
    return " ".join(
        f"{label}={value};{_plain(limit.warning)};{_plain(limit.critical)}".rstrip(";")
        for label, (value, limit) in values.items()
    )


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _shown(number: float | None) -> str:
    return "never" if number is None else f"{number:g}"


def _number(text: str) -> float | None:
    if text == "never":
        return None
    number = _parsed(text)
    if number is None:
        raise ArgumentTypeError(f'it must be a number from 0 up, or "never", not {text!r}')
    return number


def _seconds(text: str) -> float:
    number = _parsed(text)
    if number is None or number > DAY:
        raise ArgumentTypeError(f"it must be a number of seconds from 0 to {DAY}, not {text!r}")
    return number


def _parsed(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
