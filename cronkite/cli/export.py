"""Write what people have decided on jobs, and on their groups, for another
database to import, or to be kept under version control.

What nodes keep is not written: no locks, no slots, no requests. The order does
not depend on the database, so that a difference is one that somebody made.
Nor are URLs that jobs ping, unless you say --with-pings: whoever reads them
can tell of runs that never were, and each is of one environment.

Without JOB, it is all jobs and groups. JOB is a job's id, its function's
dotted name, its name, or a part of either that no other job has.

examples:
  manage.py cron export                      all jobs, to stdout
  manage.py cron export --output jobs.json   to a file, as a whole
  manage.py cron export bill --format yaml   one job, as YAML

exit codes:
  0   written
  1   the file can't be written; a job holds what can't be told in a text; or
      YAML is asked for, and PyYAML is not there
  2   the command line makes no sense, or names no job, or several
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.core.management import CommandError

from cronkite import exporting
from cronkite.cli import files, jobs
from cronkite.cli.terminal import Terminal
from cronkite.exporting import Form, NotExportable, YamlMissing
from cronkite.models import Group, Job, primary

#: What files of YAML are called.
YAML_SUFFIXES = {".yaml", ".yml"}


def add_arguments(parser: ArgumentParser) -> None:
    """Take which jobs, where to, and in which form."""
    parser.add_argument("jobs", metavar="JOB", nargs="*", help="id, function, name, or an unambiguous part of one")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file instead of stdout")
    parser.add_argument("--with-pings", action="store_true", help="write the URLs that jobs ping, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--format", choices=["json", "yaml"], dest="form", help="default: as FILE is called, or JSON")
    form.add_argument("--json", action="store_const", const="json", dest="form", help="write JSON")


def run(options: dict[str, Any], terminal: Terminal) -> int:
    """Write them, in two queries if all are meant."""
    chosen = _chosen(options["jobs"])
    groups = Group.objects.using(primary.alias()).all()
    if options["jobs"]:
        groups = groups.filter(name__in={job.group for job in chosen})
    output: Path | None = options["output"]
    form: Form = options["form"] or ("yaml" if output and output.suffix.lower() in YAML_SUFFIXES else "json")
    try:
        columns = exporting.COLUMNS if options["with_pings"] else exporting.OPEN_COLUMNS
        document = exporting.document(chosen, groups, columns)
        text = exporting.text(document, form)
        if output is None and terminal.encodable(text) != text:
            text = exporting.text(document, form, in_ascii=True)
    except (NotExportable, YamlMissing) as error:
        raise CommandError(str(error), returncode=1) from None
    if output is None:
        terminal.program(text)
        _tell_of_pings(chosen, columns, terminal)
        return 0
    try:
        files.write(output, text)
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror or error}.", returncode=1) from None
    terminal.note(f"{_counted(document['jobs'], 'job')} and {_counted(document['groups'], 'group')} are in {output}.")
    _tell_of_pings(chosen, columns, terminal)
    return 0


def _chosen(words: list[str]) -> Collection[Job]:
    if not words:
        return list(Job.objects.using(primary.alias()))
    # One job may be meant twice.
    return {job.pk: job for job in map(jobs.find, words)}.values()


def _tell_of_pings(jobs: Collection[Job], columns: list[str], terminal: Terminal) -> None:
    left_out = [job for job in jobs if job.ping] if "ping" not in columns else []
    if left_out:
        jobs_ping = "1 job pings" if len(left_out) == 1 else f"{len(left_out):,} jobs ping"
        terminal.note(f"{jobs_ping} a URL, which is left out: --with-pings writes it.")


def _counted(things: list[Any], word: str) -> str:
    return f"{len(things):,} {word}" if len(things) == 1 else f"{len(things):,} {word}s"
