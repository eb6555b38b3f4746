"""Make rows of the jobs that code declares, in the crontab modules of the
installed apps.

It does what `manage.py migrate` and the start of `manage.py cron loop` do,
and shows what it does. Jobs that people have edited since stay as they are,
and rows whose declaration is gone stay, too, unless you say otherwise.

examples:
  manage.py cron sync                       after a deployment
  manage.py cron sync --check               in a test: is there anything to do?
  manage.py cron sync --prune --overwrite   the code has the last word

exit codes:
  0   done; with --check: nothing to do
  1   with --check: there is something to do (what people have edited counts
      with --overwrite only); or a module is broken, or a declaration can't
      be a job
  2   the command line makes no sense
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from cronkite.cli.terminal import Terminal, printable
from cronkite.cli.wording import suspicion
from cronkite.code import pings
from cronkite.code.declarations import Declaration
from cronkite.declared import differences, strays
from cronkite.declared.differences import Changed, Differences
from cronkite.declared.strays import Stray
from cronkite.processes import owner


def add_arguments(parser: ArgumentParser) -> None:
    """Take what to do."""
    parser.add_argument("--check", action="store_true", help="show the difference, and change nothing")
    parser.add_argument("--prune", action="store_true", help="delete the jobs whose declaration is gone")
    parser.add_argument("--overwrite", action="store_true", help="undo what people have edited of declared jobs")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Show the difference and, unless it is only to be checked, make it good."""
    found = differences.find()
    # A program that calls the command, such as a test, has seen what no node ever will.
    lost = strays.find(found.jobs) if owner.is_ours() else []
    if not options["check"]:
        differences.create(found)
        if options["overwrite"]:
            differences.overwrite(found)
        for job in found.gone if options["prune"] else []:
            # Its id goes with it, and is still to be told.
            pk = job.pk
            job.delete()
            job.pk = pk
    if options["json"]:
        terminal.json(_for_programs(found, lost))
    else:
        _tell(found, lost, options, terminal)
    new_groups = any(here is None for here, _ in found.groups.values())
    edited = found.changed or found.groups
    to_do = found.new or new_groups or found.gone or lost or (options["overwrite"] and edited)
    return int(bool(found.broken or found.refused or (options["check"] and to_do)))


def _tell(found: Differences, lost: list[Stray], options: dict[str, Any], terminal: Terminal) -> None:
    check = options["check"]
    for declaration in found.new:
        done = "to be added" if check else "added"
        terminal.say(f"+ {declaration.name} ({declaration.what}): {done}, {declaration.spelled}", "SUCCESS")
    for changed in found.changed:
        kept = "edited here, and kept" if not options["overwrite"] else "to be overwritten" if check else "overwritten"
        terminal.say(f"~ {printable(changed.job.name)} ({changed.declaration.what}): {kept}", "WARNING")
        for column, (here, declared) in _columns(changed).items():
            terminal.say(f"    {column}: {here!r} here, {declared!r} in the code")
    _tell_groups(found, options, terminal)
    for job in found.gone:
        kept = "kept; --prune deletes it" if not options["prune"] else "to be deleted" if check else "deleted"
        terminal.say(f"- {printable(job.name)} ({job.declared_as}): its declaration is gone, {kept}", "ERROR")
    for module, error in found.broken.items():
        terminal.say(f"! {module} can't be imported, so its jobs are left alone. {printable(error)}", "ERROR")
    for declaration in found.refused:
        terminal.say(f"! {declaration.what} is declared, but can't be a job; the log says why.", "ERROR")
    for function, warning in _warnings(found).items():
        terminal.say(f"! {function}: {warning}", "WARNING")
    for stray in lost:
        terminal.say(f"! {printable(stray.name)}: {printable(stray.problem)} {printable(stray.hint)}", "WARNING")
    if not (found.new or found.changed or found.groups or found.gone or found.broken or found.refused or lost):
        terminal.say("The jobs are what the code declares.")


def _tell_groups(found: Differences, options: dict[str, Any], terminal: Terminal) -> None:
    check = options["check"]
    for name, (here, number) in found.groups.items():
        if here is None:
            terminal.say(f"+ group {name}: {'to be added' if check else 'added'}, {_running(number)}", "SUCCESS")
        else:
            kept = (
                "edited here, and kept" if not options["overwrite"] else "to be overwritten" if check else "overwritten"
            )
            terminal.say(f"~ group {name}: {_running(here)} here, {number} in the code; {kept}", "WARNING")


def _warnings(found: Differences) -> dict[str, str]:
    """Return what seems to be meant otherwise, by the declared function."""
    told = {each.function: suspicion(each.schedule) for each in found.declared}
    return {function: warning for function, warning in told.items() if warning}


def _running(number: int) -> str:
    return f"{number} {'job runs' if number == 1 else 'jobs run'} at a time"


def _columns(changed: Changed) -> dict[str, tuple[Any, Any]]:
    return {
        column: (pings.shown(column, here), pings.shown(column, declared))
        for column, (here, declared) in sorted(changed.columns.items())
    }


def _all_columns(declaration: Declaration) -> dict[str, Any]:
    return {column: pings.shown(column, value) for column, value in declaration.columns().items()}


def _for_programs(found: Differences, lost: list[Stray]) -> dict[str, Any]:
    return {
        "new": [_all_columns(declaration) for declaration in found.new],
        "changed": [
            {
                "id": changed.job.pk,
                "function": changed.declaration.function,
                "columns": {
                    column: {"here": here, "code": declared} for column, (here, declared) in _columns(changed).items()
                },
            }
            for changed in found.changed
        ],
        "groups": {name: {"here": here, "code": number} for name, (here, number) in found.groups.items()},
        "gone": [{"id": job.pk, "name": job.name, "function": job.declared_as} for job in found.gone],
        "broken": found.broken,
        "refused": [_all_columns(declaration) for declaration in found.refused],
        "warnings": _warnings(found),
        "strays": [asdict(stray) for stray in lost],
    }
