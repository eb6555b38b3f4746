"""Show a log: how the run ended, what it returned and wrote, its traceback.

ID is the log's number, which `manage.py cron why` and `manage.py cron run`
tell. Of a run that goes on, what it has written until now is there some
seconds after this command has asked for it, which it does. What a program
wrote to move the cursor or to change colours is shown as text; --json has it
as it was.

examples:
  manage.py cron log 4711
  manage.py cron log 4711 --json

exit codes:
  0   it is shown
  2   the command line makes no sense, or there is no such log
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from cronkite.cli import instants, reasons
from cronkite.cli.terminal import Terminal, printable
from cronkite.models import Log, primary
from cronkite.runs import onlookers
from cronkite.schedules.durations import in_short

#: The largest key that a database has.
MOST = 2**63 - 1
STYLES = {
    Log.Status.SUCCEEDED: "SUCCESS",
    Log.Status.RUNNING: "",
    Log.Status.HANDED_OVER: "",
    Log.Status.INTERRUPTED: "WARNING",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Take a log."""
    parser.add_argument("id", metavar="ID", help="the log's number")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Show the log."""
    log = _find(options["id"])
    onlookers.look(log)
    if options["json"]:
        terminal.json({field.attname: getattr(log, field.attname) for field in log._meta.concrete_fields})  # noqa: SLF001
        return 0
    status = log.status.replace("_", " ")
    heading = f"{log.job_name} ({log.what}): {status}"
    terminal.say(
        printable(heading), STYLES.get(Log.Status(log.status), "ERROR") if log.status in Log.Status.values else "ERROR"
    )
    for head, text in _facts(log):
        terminal.say(f"  {head:<9} {printable(text)}")
    is_running = log.status == Log.Status.RUNNING
    if is_running and not log.output:
        terminal.say("What it writes is not known yet. Ask again in some seconds, while it runs.")
    for head, text in (("Output so far" if is_running else "Output", log.output), ("Traceback", log.exc_info)):
        if text:
            terminal.say()
            terminal.say(f"{head}:", "MIGRATE_HEADING")
            for line in text.rstrip("\n").split("\n"):
                terminal.say(line.rstrip("\r").expandtabs())
    return 0


def _find(words: str) -> Log:
    if not (words.isascii() and words.isdecimal()):
        raise CommandError(
            f"{words!r} is no log's number. `manage.py cron why JOB` tells those of a job's runs.", returncode=2
        )
    log = Log.objects.using(primary.alias()).filter(pk=min(int(words), MOST)).first()
    if log is None:
        raise CommandError(f"There is no log {words}. It may have been deleted; logs are, by age.", returncode=2)
    return log


def _facts(log: Log) -> Iterator[tuple[str, str]]:
    """Yield what is known of the run, or of the missed slots, on the clock of the project."""
    zone = settings.TIME_ZONE
    yield "slot", instants.absolute(log.slot, zone) if log.slot else "none: it was run by hand"
    if log.attempt > 1:
        yield "attempt", str(log.attempt)
    if log.missed:
        yield "missed", f"{log.missed} slot{'s' * (log.missed != 1)} just before"
    yield "node", log.node
    if log.engine:
        yield "engine", reasons.shown_task(log)
    if log.worker:
        yield "worker", log.worker
    if log.started_at:
        yield "began", instants.absolute(log.started_at, zone)
    if log.finished_at:
        took = f", after {in_short((log.finished_at - log.started_at).total_seconds())}" if log.started_at else ""
        yield "ended", f"{instants.absolute(log.finished_at, zone)}{took}"
    if log.reason:
        yield "reason", log.reason
    if log.result is not None:
        yield "returned", repr(log.result)
