"""Make jobs of what a crontab or another scheduler has, without changing
anything there.

SOURCE and WHERE are one of
  crontab [FILE]       lines that call manage.py, of a file, of stdin (-), or
                       of `crontab -l`
  beat                 the tables of django-celery-beat
  celery               Celery's beat_schedule
  django-cron          the setting CRON_CLASSES
  django-crontab       the setting CRONJOBS
  apscheduler [URL]    the table of APScheduler's job store: in the project's
                       own database, or where a URL of SQLAlchemy's leads
  django-apscheduler   the table of django-apscheduler
  exported FILE        what `manage.py cron export` wrote, or - for stdin

What is imported is disabled, as it still runs where it is from. Take the old
schedule away in the same deployment in which you enable the job. With
--enable, jobs are enabled at once that are enabled there; until the old
schedule is gone, they run twice. What was imported before is left alone.

examples:
  manage.py cron import crontab --dry-run     what would become of each line?
  manage.py cron import crontab /etc/cron.d/shop --timezone Europe/Berlin
  manage.py cron import beat --json
  manage.py cron import exported jobs.json --overwrite --dry-run

exit codes:
  0   done; with --dry-run: all of it can come
  1   something can't come, and is told with the reason; or there is nothing
      to read
  2   the command line makes no sense
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management import CommandError

from cronkite.cli import moving
from cronkite.cli.terminal import Terminal, printable
from cronkite.database import clock
from cronkite.importing import deeds, exported, sources
from cronkite.importing.deeds import Deed
from cronkite.importing.planned import Given, NothingToRead
from cronkite.models import primary

#: What only some sources take, by the attribute of what is given: the option.
ONLY_SOME = {"timezone": "--timezone", "is_system": "--system", "table": "--table", "overwrite": "--overwrite"}
#: How many jobs a warning names one by one.
NAMED = 10
#: How each state is shown: what stands first, and the style.
SIGNS = {"new": ("+", "SUCCESS"), "here": ("=", ""), "refused": ("!", "ERROR"), "nothing": ("-", "")}


def add_arguments(parser: ArgumentParser) -> None:
    """Take where from, and what to do."""
    parser.add_argument("source", metavar="SOURCE", choices=[*sources.SOURCES], help=", ".join(sources.SOURCES))
    parser.add_argument("where", metavar="WHERE", nargs="?", default="", help="a file or a URL, where SOURCE takes one")
    parser.add_argument("--dry-run", action="store_true", dest="only_show", help="show what would come, and write none")
    parser.add_argument("--enable", action="store_true", help="enable the jobs that are enabled there")
    parser.add_argument("--overwrite", action="store_true", help="exported: change the jobs that are here otherwise")
    parser.add_argument(
        "--timezone", metavar="ZONE", default="", help="crontab: the zone of its machine, if not the project's"
    )
    parser.add_argument(
        "--system", action="store_true", dest="is_system", help="crontab: it says users, as /etc/crontab does"
    )
    parser.add_argument("--table", metavar="NAME", default="", help="apscheduler: its table, if not apscheduler_jobs")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Import, or show what would be imported, and tell of each thing."""
    write, enable = not options["only_show"], options["enable"]
    done: list[Deed] = []
    try:
        source = sources.of(options["source"])
        given = _given(options, source)
        if options["source"] == exported.SOURCE:
            return moving.run(given, options, terminal)
        for deed in deeds.do(source.read(given), enable=enable, write=write):
            done.append(deed)
            if not options["json"]:
                _tell(deed, write, terminal)
    except NothingToRead as error:
        raise CommandError(str(error), returncode=1) from None
    if options["json"]:
        terminal.json([_for_programs(deed) for deed in done])
    _sum_up(done, options, source, terminal)
    return int(any(deed.state == "refused" for deed in done))


def _given(options: dict[str, Any], source: sources.Source) -> Given:
    if options["where"] and not source.WHERE:
        raise CommandError(f"{options['source']} is in one place, so leave {options['where']!r} out.", returncode=2)
    for name, option in ONLY_SOME.items():
        if options[name] and name not in source.TAKES:
            raise CommandError(f"{option} is not for {options['source']}; leave it out.", returncode=2)
    return Given(options["where"], now=clock.now(primary.alias()), **{name: options[name] for name in ONLY_SOME})


def _tell(deed: Deed, write: bool, terminal: Terminal) -> None:
    planned, (sign, style) = deed.planned, SIGNS[deed.state]
    name = printable(deed.job.name if deed.job else planned.name)
    if deed.state == "new" and deed.job:
        stands = "enabled" if deed.job.enabled else "disabled"
        done = f"added, {stands}" if write else f"to be added, {stands}"
        was = "" if deed.was_enabled else ", as it is there"
        terminal.say(f"{sign} {name}: {done}{was}. {printable(planned.becomes)}", style)
    elif deed.state == "here" and deed.job:
        stands = "enabled" if deed.job.enabled else "disabled"
        named = f" (id {deed.job.pk})" if deed.job.pk else ""
        terminal.say(f"{sign} {name}: here already{named}, {stands}.")
    elif deed.state == "refused":
        # Of what was understood, also when: the name alone may be that of several.
        what = f" {printable(planned.becomes)}" if planned.becomes else ""
        terminal.say(f"{sign} {name}: it can't come.{what}", style)
    else:
        terminal.say(f"{sign} {name}: {printable(planned.becomes)}")
    for sentence in planned.problems:
        terminal.say(f"    {printable(sentence)}")
    if deed.state != "here":
        for sentence in planned.notes:
            terminal.say(f"    {printable(sentence)}")


def _sum_up(done: list[Deed], options: dict[str, Any], source: sources.Source, terminal: Terminal) -> None:
    counts = Counter(deed.state for deed in done)
    if not done:
        terminal.note(f"There is nothing to import: {source.TITLE} has no jobs.")
        return
    verb = "would be added" if options["only_show"] else "added"
    terminal.note(
        f"{verb}: {counts['new']}, here already: {counts['here']}, can't come: {counts['refused']}.".capitalize()
    )
    jobs = [deed.job for deed in done if deed.job is not None]
    both = [deed.job for deed in done if deed.job is not None and deed.job.enabled and deed.was_enabled]
    if both:
        will = "would be" if options["only_show"] and counts["new"] else "are"
        names = ", ".join(printable(job.name) for job in both[:NAMED]) + (", …" if len(both) > NAMED else "")
        terminal.note(
            f"{len(both)} {will} enabled here, and there too, and so each runs twice until the old schedule is gone: "
            f"{names}. {source.AWAY}"
        )
    elif jobs:
        terminal.note(
            f"They are disabled. In the deployment in which the old schedule goes, enable each with "
            f"`manage.py cron enable JOB`. {source.AWAY}"
        )


def _for_programs(deed: Deed) -> dict[str, Any]:
    planned, job = deed.planned, deed.job
    return {
        "source": planned.source,
        "key": planned.key,
        "name": job.name if job else planned.name,
        "state": deed.state,
        "job": job.pk if job else None,
        "enabled": job.enabled if job else None,
        "enabled_there": deed.was_enabled if job else None,
        "columns": planned.columns,
        "becomes": planned.becomes,
        "problems": planned.problems,
        "notes": planned.notes,
    }
